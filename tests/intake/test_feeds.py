"""A feed file maps records to canonical events, refuses what cannot be, and is itself checked whole."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.event import HOUR_MS, MINUTE_MS
from correlator.intake.canonical import CANONICAL
from correlator.intake.feeds import Feed
from correlator.intake.mapped import Heartbeat, Mapped
from correlator.intake.mapping import REASONS
from correlator.record import Reject
from correlator.timeline.fields import FIELDS
from tests.intake.feed_files import (
    ACCESS,
    RECORD,
    ROOT,
    SCHEMAS,
    feed_of,
    mapped,
    parse,
    record,
    refused,
    shipped_feed,
)

FEED = feed_of(ACCESS)
LOGIN = feed_of(
    """
name: idp
topic: idp-log
format: json
kind: {path: eventType, convert: {enum: {user.session.start: login, door.forced: door, "*": ignore}}}
id: offset
source: {constant: idp}
time: {path: published, convert: iso}
timing: {bound: 90s, site_silence_max_business_hours: 2h}
fields:
  credential.id: {path: actor.alternateId, convert: [lower, {split: {at: "@", take: 0}}]}
  login.outcome: {path: outcome, convert: {enum: {SUCCESS: success, FAILURE: failure}}, default: failure}
  login.logon_type: {constant: web}
  device.id: {paths: [client.os, client.device], join: "/"}
  source.ip: 'client.ip\\.address'
  login.mfa: {path: factors.1.kind, convert: {enum: {"": "", p: push}}, default: none}
  place.door: door
  door.activity: {constant: forced}
"""
)
LOGGED_ON: dict[str, object] = {
    "eventType": "user.session.start",
    "published": "2026-01-09T08:31:02Z",
    "actor": {"alternateId": "A.Silva@corp.example"},
    "outcome": "SUCCESS",
    "client": {"os": "linux", "device": "lt-1", "ip.address": "2001:DB8::0:1"},
    "factors": [{"kind": "x"}, {"kind": "p"}],
}


@pytest.mark.parametrize("name", ["badge", "door", "login", "login-json", "badge-sim"])
def test_the_samples_of_shipped_feeds_pass(name: str) -> None:
    results = shipped_feed(name).test()
    assert len(results) >= 3
    assert [result for result in results if result.differences] == []


def test_every_shipped_feed_is_tested_here() -> None:
    names = {path.stem for path in (ROOT / "feeds").glob("*.yml")}
    assert names == {"badge", "door", "login", "login-json", "badge-sim"}


def test_a_record_becomes_one_canonical_event() -> None:
    assert mapped(FEED, RECORD) == Mapped(
        time_ms=1767947462000,
        native_id="p1\x1f7",
        kind="access",
        source="p1",
        feed="panel",
        credential="4711",
        credential_class="card",
        reader="r1",
        outcome="granted",
    )


def test_paths_joins_defaults_and_conclusions_of_a_login() -> None:
    assert mapped(LOGIN, LOGGED_ON) == Mapped(
        time_ms=1767947462000,
        native_id="panel-events/2/41",
        kind="login",
        source="idp",
        feed="idp",
        credential="a.silva",
        credential_class="account",
        outcome="success",
        activity="logon",
        ip="2001:db8::1",
        logon_type="web",
        is_interactive=True,
        mfa="push",
        device="linux/lt-1",
    )
    bare = mapped(LOGIN, LOGGED_ON | {"client": {"os": "linux"}, "factors": 5, "outcome": None})
    assert (bare.device, bare.ip, bare.mfa, bare.outcome) == ("", "", "none", "failure")


def test_a_kind_that_the_record_chooses_takes_only_the_fields_of_that_kind() -> None:
    forced = mapped(LOGIN, LOGGED_ON | {"eventType": "door.forced", "door": "lab-1"})
    assert (forced.kind, forced.door, forced.activity) == ("door", "lab-1", "forced")
    assert (forced.credential, forced.logon_type, forced.outcome) == ("", "", "")


def test_a_record_that_is_none_of_ours_gives_nothing() -> None:
    other = {"eventType": "user.lifecycle.create"}
    assert LOGIN.map(record(msgspec.json.encode(other))) is None


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"at": None}, "missing_field", "time is missing: nothing at path at"),
        ({"at": "1970-01-01T00:00:09Z"}, "time_out_of_range", "time: 9000 ms since 1970"),
        ({"at": "2150-01-01T00:00:00Z"}, "time_out_of_range", "is not between 2000 and 2100"),
        ({"at": 5}, "wrong_type", "time: a time is a int"),
        ({"panel": ""}, "missing_field", "is missing"),
        ({"serial": None}, "missing_field", "id is missing: nothing at path serial"),
        ({"card": {}}, "missing_field", "credential.id is missing: nothing at path card.number"),
        ({"card": {"number": "  "}}, "missing_field", "credential.id is missing"),
        ({"card": {"number": "a\x00b"}}, "bad_text", "credential.id: "),
        ({"card": {"number": "9" * 257}}, "too_long", "257 characters, at most 256"),
        ({"card": {"number": 1.5}}, "wrong_type", "expected a text"),
        ({"reader": None}, "missing_field", "place.reader is missing"),
        ({"ok": None}, "missing_field", "access.outcome is missing"),
        ({"ok": "perhaps"}, "unknown_value", "access.outcome: 'perhaps' is not in the table"),
    ],
)
def test_a_record_that_cannot_be_is_refused_by_field(
    change: dict[str, object], reason: str, message: str
) -> None:
    found = refused(FEED, RECORD | change)
    assert (found.stage, found.reason) == ("map", reason)
    assert message in found.message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ip": "10.0.0.256"}, "bad_ip"),
        ({"ip": "x" * 500}, "bad_ip"),
        ({"latitude": -90.5, "longitude": 0}, "out_of_range"),
        ({"latitude": 0, "longitude": 181}, "out_of_range"),
        ({"radius_km": -1}, "out_of_range"),
        ({"country": "PRT"}, "unknown_value"),
        ({"interactive": "yes"}, "wrong_type"),
        ({"logon_type": "CARRIER_PIGEON"}, "unknown_value"),
    ],
)
def test_a_login_that_cannot_be_is_refused(change: dict[str, object], reason: str) -> None:
    login = {
        "event_id": "1",
        "source_id": "s",
        "occurred_at": "2026-01-09T08:31:02Z",
        "account": "a",
        "outcome": "SUCCESS",
    }
    assert refused(shipped_feed("login-json"), login | change).reason == reason


def test_timing_is_read_with_defaults_for_what_is_not_said() -> None:
    timing = LOGIN.timing
    assert (timing.feed, timing.kind, timing.topic) == ("idp", "login", "idp-log")
    assert (timing.bound_ms, timing.site_silence_max_business_hours_ms) == (90_000, 2 * HOUR_MS)
    assert timing.quiet_ms == MINUTE_MS
    assert LOGIN.kinds == ("login", "door")


def test_canonical_names_are_the_names_that_rules_use() -> None:
    not_for_rules = {"login.reason_native", "device.host", "event.sequence"}
    assert set(CANONICAL) - set(FIELDS) == not_for_rules


def test_all_problems_of_a_file_are_told_at_once_with_their_places() -> None:
    feed, problems = parse(
        """\
name: Panel One
topik: x
topic: panel-events
format: avro
schema: badge-evnt
kind: acess
source: {path: panel, paths: [a]}
time: {path: at, convert: lower}
timing: {bound: 5, quiet: 90d, silense: 1h}
fields:
  credental.id: card
  access.outcome: {path: ok, convert: {enum: {Y: grantd}}}
  door.activity: {constant: forced}
  access.duress: {constant: maybe}
samples:
  - {value: {}, expect: {reject: no_such_reason}}
"""
    )
    assert feed is None
    told = [str(problem) for problem in sorted(problems)]
    expected = [
        "f.yml:1:1: error: name: 'Panel One' is no name",
        "f.yml:2:1: error: topik: unknown key 'topik' (did you mean 'topic'?)",
        "f.yml:5:1: error: schema: no schema 'badge-evnt' (did you mean 'badge-event'?)",
        "f.yml:6:1: error: kind: expected one of access, login, door, found 'acess' (did you mean 'access'?)",
        "f.yml:7:1: error: source: expected one of: path, paths with join, constant",
        "f.yml:8:1: error: time: a time needs one of the converters epoch, iso and local",
        "f.yml:9:10: error: timing.bound: expected a duration",
        "f.yml:9:20: error: timing.quiet: longer than 31 days",
        "f.yml:9:32: error: timing.silense: unknown key 'silense' (did you mean 'silence_max'?)",
        "f.yml:11:3: error: fields.credental.id: unknown field 'credental.id' (did you mean 'credential",
        "f.yml:12:47: error: fields.access.outcome.convert.enum.Y: 'grantd' is none of: granted, denied",
        "f.yml:13:3: error: fields.door.activity: door.activity is for door, the feed is access",
        "f.yml:14:19: error: fields.access.duress.constant: a str, expected true or false",
        "f.yml:16:26: error: samples[0].expect.reject: expected one of",
    ]
    for line in expected:
        assert any(found.startswith(line) for found in told), (line, told)
    assert any("id is missing" in found for found in told)
    assert any("credential.id is missing: access events need it" in found for found in told)


def test_a_path_that_the_schema_does_not_have_is_told_with_the_nearest() -> None:
    text = (ROOT / "feeds" / "badge.yml").read_text(encoding="utf-8").replace(": badge_id", ": badge_idd")
    feed, problems = parse(text)
    assert feed is None
    assert any("the schema has no field 'badge_idd' (did you mean 'badge_id'?)" in str(p) for p in problems)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (("id: [panel, serial]", "id: offset"), "what is delivered twice counts twice"),
        (("", ""), "no samples: nothing tests this feed"),
    ],
)
def test_what_works_but_should_be_known_is_a_warning(change: tuple[str, str], warning: str) -> None:
    feed, problems = parse(ACCESS.replace(*change))
    assert feed is not None
    assert any(p.severity == "warning" and warning in p.message for p in problems)


def test_a_sample_that_fails_says_field_by_field_why() -> None:
    sample = """
samples:
  - name: wrong
    value: {panel: p1, serial: 7, at: 2026-01-09T08:31:02Z, card: {number: "4711"}, reader: r1, ok: true}
    expect: {time: 2026-01-09T08:31:03Z, source: p2, credential.id: "4711", access.taken: taken}
  - value: {panel: p1}
    expect: {ignored: true}
"""
    wrong, ignored = feed_of(ACCESS + sample).test()
    assert wrong.differences == (
        "time: expected 2026-01-09T08:31:03Z, found 2026-01-09T08:31:02.000Z",
        "access.outcome: expected nothing, found 'granted'",
        "access.taken: expected 'taken', found nothing",
        "credential.class: expected nothing, found 'card'",
        "place.reader: expected nothing, found 'r1'",
        "source: expected 'p2', found 'p1'",
    )
    assert ignored.differences == ("rejected: missing_field: time is missing: nothing at path at",)


NUMBERS = st.integers(-(1 << 63), 1 << 62) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CHANGES = st.dictionaries(
    st.sampled_from([*RECORD, *LOGGED_ON, "ip", "latitude", "door", "occurred_at", "account", "mfa"]),
    JSON,
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([FEED, LOGIN, shipped_feed("login-json"), shipped_feed("badge-sim")]), CHANGES)
def test_any_record_gives_events_or_a_known_reason(feed: Feed, changes: dict[str, object]) -> None:
    whole = RECORD | LOGGED_ON | changes
    found = feed.map(record(msgspec.json.encode(whole)))
    if isinstance(found, Reject):
        assert found.reason in REASONS
    else:
        assert found is None or (isinstance(found, Mapped) and found.source and found.native_id)


def test_the_zone_of_a_feed_is_that_of_its_local_times() -> None:
    def written(zone: str, convert: str) -> str:
        return ACCESS.replace(
            "time: {path: at, convert: iso}", f"zone: {zone}\ntime: {{path: at, convert: {convert}}}"
        )

    local = {**RECORD, "at": "2026-07-09T10:31:02"}
    for convert in ("iso", "{local: {format: '%Y-%m-%dT%H:%M:%S'}}", "{iso: {repeated: second}}"):
        assert mapped(feed_of(written("Europe/Berlin", convert)), local).time_ms == 1_783_585_862_000
    own = feed_of(written("Europe/Berlin", "{iso: Europe/Lisbon}"))
    assert mapped(own, local).time_ms == 1_783_585_862_000 + 3_600_000
    assert mapped(feed_of(written("Europe/Berlin", "iso")), RECORD).time_ms == 1_767_947_462_000
    feed, problems = parse(written("Europe/Berln", "iso"))
    assert feed is None
    assert "f.yml:8:1: error: zone: 'Europe/Berln' is no time zone" in str(problems[0])


def test_a_sample_of_a_local_time_of_its_site_is_expected_without_an_offset() -> None:
    sample = """
samples:
  - name: s
    value: {panel: p1, serial: 7, at: "2026-07-09T10:31:02", card: {number: 4711}, reader: r1, ok: true}
    expect: {time: "2026-07-09T10:31:02", credential.id: "4711", credential.class: card, place.reader: r1,
             access.outcome: granted}
"""
    text = ACCESS.replace("time:", "zone: site\ntime:") + sample
    assert [result.differences for result in feed_of(text).test()] == [()]
    (wrong,) = feed_of(
        text.replace('expect: {time: "2026-07-09T10:31:02"', 'expect: {time: "2026-07-09T10:31:02Z"')
    ).test()
    assert wrong.differences == ("time: expected 2026-07-09T10:31:02Z, found 2026-07-09T10:31:02.000",)


BEATING = """
name: panel
topic: panel-events
format: json
kind: {path: type, convert: {enum: {read: access, alive: heartbeat, "*": ignore}}}
id: [panel, serial]
source: panel
time: {path: at, convert: iso}
fields:
  credential.id: card.number
  place.reader: reader
  access.outcome: {path: ok, convert: {enum: {"true": granted, "false": denied}}}
samples:
  - {name: alive, value: {type: alive, panel: p1}, expect: {heartbeat: p1}}
  - {name: who, value: {type: alive}, expect: {reject: missing_field}}
"""


def test_a_record_may_say_only_that_its_source_is_alive() -> None:
    feed = feed_of(BEATING)
    assert feed.map(record(b'{"type": "alive", "panel": "p1"}')) == Heartbeat("p1", "panel")
    assert mapped(feed, RECORD | {"type": "read"}).source == "p1"
    assert [result.differences for result in feed.test()] == [(), ()]
    wrong = BEATING.replace("heartbeat: p1", "heartbeat: p2").replace(
        "reject: missing_field", "ignored: true"
    )
    (first, second) = [result.differences for result in feed_of(wrong).test()]
    assert first == ("a heartbeat of p1",)
    assert second[0].startswith("rejected: missing_field: source is missing")


def test_of_a_schema_that_is_not_there_samples_say_nothing_more() -> None:
    text = (ROOT / "feeds/login.yml").read_text("utf-8").replace("schema: login-event", "schema: sign-in")
    messages = [str(problem) for problem in parse(text)[1] if problem.severity == "error"]
    assert len(messages) == 1
    assert (
        "no schema 'sign-in'; in schemas/: alert, badge-event, door-event, identity, login-event"
        in messages[0]
    )


def test_a_sample_in_a_framing_with_ids_needs_one_for_its_schema() -> None:
    schemas = msgspec.structs.replace(SCHEMAS, by_id={})
    feed, problems = parse((ROOT / "feeds/badge.yml").read_text("utf-8"), schemas)
    assert feed is None
    assert any("ids.yml beside the schema gives badge-event no id" in p.message for p in problems)


def test_a_sample_needs_the_schema_that_it_is_written_with() -> None:
    text = (ROOT / "feeds/login.yml").read_text("utf-8").replace("schema: login-event\n", "")
    said = "only a feed with a `schema` can write its samples: give them as base64"
    assert any(said in problem.message for problem in parse(text)[1])
