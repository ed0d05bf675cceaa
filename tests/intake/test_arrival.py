from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.event import FOREVER, NEVER
from correlator.intake.arrival import arrival, decode_arrival, encode_arrival

NOW = 1_767_947_400_000


def test_arrival_is_never_ahead_of_the_clock_nor_before_what_was_stated() -> None:
    assert arrival(NOW - 5, NOW, NEVER) == NOW - 5
    assert arrival(NOW + 5, NOW, NEVER) == NOW
    assert arrival(NOW - 5, NOW, NOW - 3) == NOW - 3
    assert arrival(NOW - 5, NOW - 9, NOW) == NOW  # a clock that was set back
    assert arrival(NOW + 5, FOREVER, NEVER) == NOW + 5  # files are held against no clock


@given(st.integers(-(10**17), 10**17))
def test_metadata_reads_back(stated_ms: int) -> None:
    assert decode_arrival(encode_arrival(stated_ms)) == stated_ms


@pytest.mark.parametrize(
    "metadata", ["", "a1:", "a1:x", "a2:5", "a1:5;6", "crc=1", "a1:99999999999999999999"]
)
def test_metadata_that_is_not_ours_says_nothing(metadata: str) -> None:
    assert decode_arrival(metadata) == NEVER


def test_never_is_stated_as_nothing() -> None:
    assert encode_arrival(NEVER) == ""
