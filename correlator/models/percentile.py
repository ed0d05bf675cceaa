"""Where a score stands among the earlier scores of the same model: a decayed histogram with fixed bins.

Scores of a healthy model crowd near one end, and the interesting ones lie still closer to 1. So bins are
taken of the distance to 1, logarithmic over its octaves and even within each: exact arithmetic, no log, the
same on every machine. When the histogram is full all bins are halved, the odd ones passing their rest on, so
that no rank moves by more than one score: the tail is neither starved nor fattened.

May not know: models, events. Invariants: bounded; `decode(encode(p))` ranks as *p* does.
"""

from __future__ import annotations

from math import frexp

import msgspec

from correlator.models.state import StateFormatError

TOTAL_MAX = 1 << 15  # scores before the histogram is halved
_BITS = 5
_PER_OCTAVE = 1 << _BITS
_OCTAVES = 20
_BINS = _OCTAVES * _PER_OCTAVE + 1  # the last one: closer to 1 than 2^-20


class PercentileState(msgspec.Struct, frozen=True, array_like=True):
    counts: tuple[tuple[int, int], ...]  # (bin, scores in it), by bin, none empty


class Percentile:
    """Ranks scores in [0, 1] and remembers them."""

    __slots__ = ("_counts", "_octaves", "total")

    def __init__(self) -> None:
        self.total = 0  # scores remembered, aged
        self._counts = [0] * _BINS
        self._octaves = [0] * (_OCTAVES + 1)

    def rank(self, score: float) -> float:
        """Share of the remembered scores that were lower, 0..1; 0 while there are none.

        A bin is 1.6 to 3.2 % of the distance to 1 wide. Scores in the same bin do not count as
        lower, so whatever is common never ranks high.
        """
        at = _bin(score)
        octave = at >> _BITS
        lower = sum(self._octaves[:octave]) + sum(self._counts[octave << _BITS : at])
        return lower / self.total if self.total else 0.0

    def remember(self, score: float) -> None:
        """Count *score* among the earlier ones."""
        at = _bin(score)
        self._counts[at] += 1
        self._octaves[at >> _BITS] += 1
        self.total += 1
        if self.total >= TOTAL_MAX:
            self._halve()

    def state(self) -> PercentileState:
        """The whole histogram as a value."""
        return PercentileState(tuple([(at, count) for at, count in enumerate(self._counts) if count]))

    def _halve(self) -> None:
        rest = 0
        for at, count in enumerate(self._counts):
            rest += count
            self._counts[at] = rest >> 1
            rest &= 1
        self._sum_up()

    def _sum_up(self) -> None:
        counts = self._counts
        self._octaves = [sum(counts[at : at + _PER_OCTAVE]) for at in range(0, _BINS, _PER_OCTAVE)]
        self.total = sum(self._octaves)


def percentile_from(state: PercentileState) -> Percentile:
    """The histogram that *state* was taken of. Raises StateFormatError if it is none."""
    percentile = Percentile()
    for at, count in state.counts:
        if not 0 <= at < _BINS or count < 0:
            raise StateFormatError(f"bin {at} of {_BINS} cannot hold {count} scores")
        percentile._counts[at] = count  # noqa: SLF001
    percentile._sum_up()  # noqa: SLF001
    return percentile


def _bin(score: float) -> int:
    """Bin of *score*: higher for higher scores. A distance of (1/2, 1] from 1 is the first octave."""
    mantissa, exponent = frexp(1.0 - score)  # distance = mantissa * 2**exponent, mantissa in [1/2, 1)
    if mantissa <= 0.0 or exponent <= -_OCTAVES:
        return _BINS - 1
    if exponent > 0:
        return 0
    return -exponent * _PER_OCTAVE + min(_PER_OCTAVE - 1, int((1.0 - mantissa) * 2 * _PER_OCTAVE))
