"""What was learnt, apart from everything else: habits of people, what doors teach, and models. It outlives a
state.

Lines of JSON: a `Head`; a `Part` for each partition that has a checkpoint and a `Learnt` for each entity; an
`End` with the number of these and a checksum of all before it. Written from checkpoints, whatever rules they
were made under, and even where records of them cannot be read. Read into an empty state: of any number of
partitions, of other rules.

May not know: files, topics' names. A line of a newer format is refused; fields that are not known are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from correlator.codec import Codes, load_codes
from correlator.engine.checkpoint import MANIFEST_KEY, UNREADABLE, Manifest
from correlator.formats import Format, FormatError, as_it_was
from correlator.models.scorer import decode as decode_scorer
from correlator.models.state import StateFormatError
from correlator.timeline import state
from correlator.timeline.habits import NO_HABITS, Day, Habits
from correlator.timeline.live import Stay

FORMAT = Format("learnt", 4, {1: as_it_was, 2: as_it_was, 3: as_it_was})


class Head(msgspec.Struct, frozen=True, tag="head", tag_field="line"):
    format: int
    keyed: str  # the topic
    partitions: int  # that it has


class Part(msgspec.Struct, frozen=True, tag="part", tag_field="line"):
    """*cut*: up to which offset of *keyed* was learnt. *models*: of `models.scorer`, *ways*: of
    `timeline.ways`.
    """

    partition: int
    cut: int
    models: bytes
    ways: bytes = b""


class Learnt(msgspec.Struct, frozen=True, tag="learnt", tag_field="line"):
    """*stays*: where the person is; without it, logins at a desk would be learnt as of somebody absent."""

    entity: str
    habits: Habits = NO_HABITS
    today: Day | None = None
    stays: tuple[Stay, ...] = ()


class End(msgspec.Struct, frozen=True, tag="end", tag_field="line"):
    """*unreadable*: records of the checkpoints that were left out. *crc*: CRC-32 of the lines before this;
    formats 1 and 2 have none.
    """

    entities: int
    unreadable: int = 0
    crc: int | None = None


Line = Head | Part | Learnt | End

encode_line = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Line).decode


class LineError(Exception):
    """A line that is none of ours: says why."""


def decode_line(raw: bytes, found: int = FORMAT.number) -> Line:
    """*found*: the format that the first line says. Raises `LineError`."""
    try:
        line: Line = _decode(raw) if found == FORMAT.number else _migrated(raw, found)
        if isinstance(line, Head):
            FORMAT.check(line.format)
    except FormatError as error:
        raise LineError(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(f"not a line that `correlator state export` wrote: {error}") from error
    return line


def check_models(part: Part) -> None:
    """They have a format of their own. Raises `LineError`."""
    try:
        decode_scorer(part.models)
    except StateFormatError as error:
        raise LineError(str(error)) from error


def _migrated(raw: bytes, found: int) -> Line:
    line: Line = msgspec.convert(FORMAT.migrated(found, msgspec.json.decode(raw)), Line)
    return line


def learnt_of(
    manifest: Manifest, newest: Mapping[bytes, bytes], number: int
) -> Iterator[Part | Learnt | None]:
    """The lines of one checkpoint; None for a record that cannot be read.

    Raises what is `UNREADABLE` when the manifest's own part cannot be read: nothing can be then.
    """
    rest = state.load_rest(manifest.rest)
    codes = load_codes(rest.shapes)
    decode_scorer(rest.scorer)  # or nobody could import them
    yield Part(number, manifest.offset, rest.scorer, rest.ways)
    for key, raw in newest.items():
        if key != MANIFEST_KEY:
            yield from _learnt(key, raw, codes)


def _learnt(key: bytes, raw: bytes, codes: Codes) -> Iterator[Learnt | None]:
    try:
        entity = key.decode()
        live = state.load_timeline(entity, state.current(raw), codes).touch(codes)
    except (*UNREADABLE, ArithmeticError, LookupError, TypeError, ValueError):
        yield None
        return
    if live.habits != NO_HABITS or live.today is not None:
        yield Learnt(entity, live.habits, live.today, live.stays)
