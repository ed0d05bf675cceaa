"""The online models of one partition: one Half-Space Trees per class of identity, each with its percentile.

A class (identity type) is learned from those whose habits are old enough to tell what is unusual for them;
others are neither scored nor learned from. Every score enters the percentile, also that of an event
that is alerted on and so not learned: if the highest were left out, the bar would sink until usual events
reached it.

May not know: rules, alerts, clocks. Invariants: equal bytes score and learn equally; bounded by the number of
classes, which the vocabulary fixes.
"""

from __future__ import annotations

from zlib import crc32

import msgspec

from correlator.event import Event, Score
from correlator.formats import UNREADABLE, Format, FormatError
from correlator.models.features import AXES, FEATURES, axes, features
from correlator.models.percentile import Percentile, PercentileState, percentile_from
from correlator.models.state import StateFormatError
from correlator.models.trees import Trees, TreesState, trees_from
from correlator.timeline.habits import WARM_DAYS, Habits, shows_habit
from correlator.timeline.live import Live

FORMAT = Format("models", 1)  # of the state of all of them
WARM_SCORES = 256  # earlier scores of a model before its percentile says anything

_PEOPLE = ("employee", "contractor", "visitor")
_NOT_SCORED = ("", "service", "shared")  # "": nobody told us yet what this identity is
_NOT_WARM = Score(0.0, is_warm=False)
_EXPLAINED = 0.95  # percentile from which a score names what pushed it
_PUSHING_MIN = 0.3  # a feature below this did not push
_PUSHING_MAX = 4
_DIGITS = 4  # of a percentile: more would claim more than the histogram holds


class _ClassState(msgspec.Struct, frozen=True, array_like=True):
    name: str
    trees: TreesState
    percentile: PercentileState


class _State(msgspec.Struct, frozen=True, array_like=True):
    state_format: int
    partition: int
    classes: tuple[_ClassState, ...]  # by name


class _Class(msgspec.Struct):
    trees: Trees
    percentile: Percentile


class Scorer:
    """Implements `timeline.program.Scorer` for partition number *partition*."""

    __slots__ = ("_classes", "_partition")

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._classes: dict[str, _Class] = {}

    def wants(self, event: Event, live: Live) -> bool:
        """Whether *event* is to be scored: a person, whose habits are known, was let do something.

        That is a granted access that was not left untaken, or an interactive login that succeeded, of
        somebody who is neither a service nor shared, and with `WARM_DAYS` active days at least.
        """
        return (
            live.habits.active_days >= WARM_DAYS - 1  # and perhaps the newest day
            and shows_habit(event.shape)
            and live.person is not None
            and live.person.identity_type not in _NOT_SCORED
        )

    def score(self, event: Event, identity_type: str, habits: Habits) -> tuple[Score, dict[str, float]]:
        """Score *event* against *habits* before it, once, in log order; the score enters the percentile.

        Gives the axes of its features back for `learn`. None for an identity of no class that is scored
        (unknown, service, shared) or whose habits are not warm: such a score is 0 and not warm.
        """
        if identity_type in _NOT_SCORED or not habits.is_warm:
            return _NOT_WARM, {}
        traits = features(event, habits)
        x = axes(traits)
        model = self._class(identity_type)
        if not model.trees.is_warm:
            return _NOT_WARM, x
        raw = model.trees.score(x)
        is_warm = model.percentile.total >= WARM_SCORES
        percentile = round(model.percentile.rank(raw), _DIGITS)
        model.percentile.remember(raw)
        return Score(percentile, is_warm, _pushing(traits) if percentile >= _EXPLAINED else ()), x

    def learn(self, identity_type: str, features: dict[str, float]) -> None:
        """Learn what `score` gave back. Not to be called for an event that was alerted on."""
        if features:
            self._class(identity_type).trees.learn(features)

    def encode(self) -> bytes:
        """The state of all models, for `decode`. Equal states give equal bytes."""
        classes = [
            _ClassState(name, model.trees.state(), model.percentile.state())
            for name, model in sorted(self._classes.items())
        ]
        return msgspec.msgpack.encode(_State(FORMAT.number, self._partition, tuple(classes)))

    def _class(self, identity_type: str) -> _Class:
        name = identity_type if identity_type in _PEOPLE else "other"
        model = self._classes.get(name)
        if model is None:
            seed = crc32(f"{self._partition}/{name}".encode())
            model = self._classes[name] = _Class(Trees(AXES, seed), Percentile())
        return model


def decode(state: bytes) -> Scorer:
    """The scorer that *state* was encoded of. Raises StateFormatError on anything else."""
    try:
        decoded = msgspec.msgpack.decode(FORMAT.current(state), type=_State)
    except FormatError as error:
        raise StateFormatError(str(error)) from error.__cause__
    except UNREADABLE as error:
        raise StateFormatError(f"state of the models cannot be read: {error}") from error
    scorer = Scorer(decoded.partition)
    for part in decoded.classes:
        if part.trees.features != AXES:
            raise StateFormatError(
                f"state of the models has axes {part.trees.features}, this version knows {AXES}"
            )
        model = _Class(trees_from(part.trees), percentile_from(part.percentile))
        scorer._classes[part.name] = model  # noqa: SLF001
    return scorer


def _pushing(x: dict[str, float]) -> tuple[str, ...]:
    """Features that made *x* unusual, strongest first, equal ones in the order of FEATURES.

    A feature is the rarity of one trait in itself, on one scale for all, so its own value says how much it
    pushed: no further walk through the trees.
    """
    pushing = [name for name in FEATURES if x[name] >= _PUSHING_MIN]
    pushing.sort(key=lambda name: -x[name])
    return tuple(pushing[:_PUSHING_MAX])
