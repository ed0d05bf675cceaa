"""Records of *keyed* as the correlating stage meets them, live and in a replay alike."""

from __future__ import annotations

from correlator.codec import Codes
from correlator.engine.topics import EngineRefusal
from correlator.frame import Frame, FrameError, decode_frame
from correlator.record import Record, Reject


def frame_of(record: Record, codes: Codes) -> Frame | Reject:
    """What somebody else wrote is refused: it changes nothing, so a replay passes over it as well.

    Raises `EngineRefusal` for a frame that only another version can read.
    """
    try:
        return decode_frame(record.value or b"", codes)
    except FrameError as error:
        if error.__cause__ is None:
            where = f"{record.topic}/{record.partition} offset {record.offset}"
            raise EngineRefusal(f"{where}: {error}.") from error
        return Reject(
            "correlate", "not_a_frame", f"{error}. Only correlator's intake may write to this topic"
        )
