"""Records of sources as somebody might send them: events, a dead letter with a known reason, nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.adapters.files import load_bundle
from correlator.event import FOREVER
from correlator.frame import decode_frame, encode_frame
from correlator.intake.arrival import NO_TIMESTAMP
from correlator.intake.decode import REASONS
from correlator.intake.intake import Intake
from correlator.intake.people import People
from correlator.models.scorer import Scorer
from correlator.pipeline import Bundle, correlate_step, only
from correlator.record import Record
from correlator.simulate.configuration import documents
from correlator.timeline.partition import Partition
from tests.alerts.schema import errors
from tests.fuzz.damage import damaged, fuzz, no_hang
from tests.intake.company import identity, ms
from tests.simulate.shipped import lived

FEEDS = ("badge", "badge-sim", "door", "login", "login-json")
NOW_MS = ms("2026-01-09T08:30")
PERSON = identity(
    "e1",
    type="employee",
    badges=[{"id": "100001", "valid_from": "2026-01-01T00:00:00Z"}],
    accounts=[{"name": "ana"}],
    statuses=[{"status": "terminated", "from": "2026-01-08T00:00:00Z"}],
)
SIM = (
    b'{"timestamp": "2026-01-09T08:31:02.561Z", "user_id": "USER_ac49", "room_id": "lis-main-1-in", '
    b'"building_id": "lis-hq", "location_id": "lisbon", "success": true}'
)
LOGIN = (
    b'{"event_id": "a1", "source_id": "idp", "occurred_at": "2026-01-09T08:31:02+01:00", "account": "ana", '
    b'"outcome": "FAILURE", "reason": "BAD_PASSWORD", "logon_type": "VPN", "ip": "198.18.7.1", "port": 443}'
)


@cache
def bundle() -> Bundle:
    """The shipped feeds and rules, for the company that sends the records."""
    with TemporaryDirectory() as name:
        for file, document in documents(lived()[0]).items():
            (Path(name) / file).write_text(json.dumps(document), encoding="utf-8")
        (Path(name) / "correlator.yml").write_text(f"feeds: [{', '.join(FEEDS)}]\npartitions: 1\n")
        return load_bundle(Path(name))


@cache
def samples(topic: str) -> Sequence[bytes]:
    """Valid values: of a simulated company where it has the topic, else as its source would write them."""
    sent = [record.value or b"" for record in lived()[1] if record.topic == topic]
    return sent[:: max(len(sent) // 20, 1)] or [{"login-events-json": LOGIN}.get(topic, SIM)]


def take(topic: str, values: Sequence[bytes | None], headers: tuple[tuple[str, bytes], ...] = ()) -> int:
    """Through intake and a fold. How many of them are in the dead letters."""
    people = People(bundle().intake.sites)
    people.apply(0, "e1", PERSON, NOW_MS)
    intake = Intake(bundle().intake, people)
    intake.assign(topic, 0, 1)
    records = [Record(topic, 0, at, NO_TIMESTAMP, None, value, headers) for at, value in enumerate(values)]
    taken = intake.intake_step(records, FOREVER)
    for _, reject in taken.dead_letters:
        assert reject.message
        assert reject.stage != "decode" or reject.reason in REASONS
    partition = Partition(bundle().program, Scorer(0), 0)
    for _, frame in taken.frames:
        correlated = correlate_step(decode_frame(encode_frame(frame)), partition, only(bundle()), crc=0)
        for alert in correlated.alerts:
            assert errors(msgspec.json.decode(alert.value)) == []
    return len(taken.dead_letters)


@pytest.mark.parametrize("topic", sorted(bundle().intake.feeds))
def test_without_damage_they_are_taken(topic: str) -> None:
    assert take(topic, samples(topic)) == 0


@pytest.mark.parametrize("topic", sorted(bundle().intake.feeds))
def test_damaged_values(topic: str) -> None:
    @fuzz
    @given(st.lists(damaged(samples(topic)), min_size=1, max_size=3))
    def whatever_they_are(values: list[bytes]) -> None:
        with no_hang():
            take(topic, values)

    whatever_they_are()


@pytest.mark.parametrize("topic", sorted(bundle().intake.feeds))
def test_json_that_means_nothing(topic: str) -> None:
    """Any JSON in the place of any field."""
    document = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )
    plain = msgspec.json.decode(samples(topic)[0]) if samples(topic)[0][:1] == b"{" else {}

    @fuzz
    @given(st.dictionaries(st.sampled_from(sorted(plain) or ["a"]), document, max_size=3))
    def whatever_it_says(fields: dict[str, object]) -> None:
        with no_hang():
            take(topic, [msgspec.json.encode(plain | fields)])

    whatever_it_says()


@fuzz
@given(
    st.lists(st.tuples(st.sampled_from(["__value_schema_id", "x"]), damaged([b"\0\0\0\0\1", b"\1" * 17]))),
    damaged(samples("badge-events")),
)
def test_damaged_headers(headers: list[tuple[str, bytes]], value: bytes) -> None:
    with no_hang():
        take("badge-events", [value, None, b""], tuple(headers))


@fuzz
@given(st.lists(damaged([PERSON, PERSON.replace(b"e1", b"e2")]), min_size=1, max_size=3), st.booleans())
def test_damaged_identities(values: list[bytes], is_e1: bool) -> None:
    intake = Intake(bundle().intake, People(bundle().intake.sites))
    key = b"e1" if is_e1 else b"e2"
    records = [Record("correlator.identities", 0, at, NOW_MS, key, v, ()) for at, v in enumerate(values)]
    with no_hang():
        for _, frame in intake.learn(records, NOW_MS).frames:
            encode_frame(frame)
