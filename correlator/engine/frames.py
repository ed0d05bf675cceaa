"""Records of *keyed* as the correlating stage meets them, live and in a replay alike."""

from __future__ import annotations

from correlator.codec import Codes
from correlator.engine.topics import EngineRefusal
from correlator.frame import Frame, FrameError, Wire, read_frame, unpack_frame
from correlator.record import Record, Reject


def wire_of(record: Record) -> Wire | Reject:
    """What somebody else wrote is refused: it changes nothing, so a replay passes over it as well.

    Raises `EngineRefusal` for a frame that only another version can read.
    """
    try:
        return read_frame(record.value or b"")
    except FrameError as error:
        if error.__cause__ is None:
            where = f"{record.topic}/{record.partition} offset {record.offset}"
            raise EngineRefusal(f"{where}: {error}.") from error
        return _refused(error)


def frame_in(wire: Wire | Reject, codes: Codes) -> Frame | Reject:
    """The frame in what `wire_of` gave, for whoever folds it with *codes*."""
    if isinstance(wire, Reject):
        return wire
    try:
        return unpack_frame(wire, codes)
    except FrameError as error:
        return _refused(error)


def frame_of(record: Record, codes: Codes) -> Frame | Reject:
    """Both at once."""
    return frame_in(wire_of(record), codes)


def _refused(error: FrameError) -> Reject:
    return Reject("correlate", "not_a_frame", f"{error}. Only correlator's intake may write to this topic")
