"""Alerts are valid OCSF 1.8, say what happened, and are the same bytes whenever they are rendered."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.alerts.ocsf import Source, alert_record, render
from correlator.alerts.text import RuleText
from correlator.event import HOUR_MS, Person, make_event
from correlator.timeline.alert import Alert, Change
from tests.alerts import shapes
from tests.alerts.schema import errors, finding_schema
from tests.alerts.shapes import ALL, BUNDLE, NOW_MS, Shape

GOLDEN = Path(__file__).parent / "golden"
SOURCE = Source(BUNDLE, NOW_MS)


def rendered(shape: Shape) -> dict[str, Any]:
    return render(shape.change, shape.evidence, shape.rule, shape.person, SOURCE)


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_valid_under_the_schema(make: Callable[[], Shape]) -> None:
    assert errors(json.loads(json.dumps(rendered(make())))) == []


def test_the_check_finds_what_is_wrong() -> None:
    finding = rendered(shapes.d05())
    finding["severity_id"] = 7
    finding["evidences"][0]["door"] = {}
    finding["finding_info"].pop("uid")
    finding["evidences"][1]["src_endpoint"]["ip"] = "nowhere"
    del finding["resources"][0]["uid"], finding["resources"][0]["name"]
    finding["is_alert"] = 1
    assert len(errors(finding)) == 6
    assert finding_schema()["properties"]["class_uid"]["const"] == 2004


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_golden_bytes(make: Callable[[], Shape]) -> None:
    """Set CORRELATOR_UPDATE_GOLDEN=1 to write what is rendered now, and review the difference."""
    shape = make()
    record = alert_record(shape.change, shape.evidence, shape.rule, shape.person, SOURCE)
    pretty = msgspec.json.format(record.value, indent=1) + b"\n"
    path = GOLDEN / f"{shape.name}.json"
    if os.environ.get("CORRELATOR_UPDATE_GOLDEN"):
        path.write_bytes(pretty)
    assert pretty == path.read_bytes()


def test_a_change_that_is_made_once_more_is_not_one_that_is_delivered_once_more() -> None:
    """Create, retract, create again under one *now*: readers that drop duplicates by uid see all three."""
    shape = shapes.d01()

    def uid(crc: int) -> Any:
        source = Source(BUNDLE, NOW_MS, crc)
        return render(shape.change, shape.evidence, shape.rule, shape.person, source)["metadata"]["uid"]

    assert uid(1) == uid(1) != uid(2)


def test_order_of_evidence_does_not_matter() -> None:
    shape = shapes.d17()
    backwards = Shape(shape.name, shape.change, shape.evidence[::-1], shape.rule, shape.person)
    assert rendered(backwards) == rendered(shape)


def test_activity_and_status() -> None:
    new, gone, replaced, more = (
        rendered(make()) for make in (shapes.d01, shapes.retracted, shapes.superseded, shapes.unresolved)
    )
    assert [f["type_uid"] for f in (new, gone, replaced, more)] == [200401, 200403, 200403, 200402]
    assert [f["status"] for f in (new, gone, replaced, more)] == [
        "New",
        "Resolved",
        "Suppressed",
        "In Progress",
    ]
    assert (gone["status_detail"], replaced["status_detail"]) == ("retracted", "superseded")
    assert [f["is_alert"] for f in (new, gone, replaced, more)] == [True, False, False, True]
    assert gone["finding_info"]["uid"] == new["finding_info"]["uid"]
    assert replaced["metadata"]["correlation_uid"] == "c" * 16
    assert replaced["unmapped"]["correlator"]["superseded_by"] == "5" * 16


def test_attack_only_where_the_rule_names_a_technique() -> None:
    assert rendered(shapes.d05())["finding_info"]["attacks"] == [
        {"technique": {"uid": "T1078"}, "sub_technique": {"uid": "T1078.004"}}
    ]
    assert "attacks" not in rendered(shapes.d28())["finding_info"]


def test_doors_are_resources_and_readers_evidence() -> None:
    finding = rendered(shapes.d18())
    assert [(r["type"], r["uid"]) for r in finding["resources"]] == [
        ("door", "lis-1-07"),
        ("door", "lis-1-08"),
        ("door", "lis-1-09"),
    ]
    assert finding["evidences"][0]["data"]["place"]["reader"] == "lis-1-07-in"
    assert finding["evidences"][0]["data"]["time"] == "2026-03-02T08:14:05.000+00:00"


def test_badges_can_be_searched_for() -> None:
    found = {(o["type_id"], o["value"]) for o in rendered(shapes.d05())["observables"]}
    assert found >= {(19, "4711"), (34, "alice")}, "the badge, and the account"


def test_time_is_log_time() -> None:
    finding = rendered(shapes.d01())
    assert finding["time"] == finding["metadata"]["processed_time"] == NOW_MS
    assert finding["finding_info"]["created_time"] == shapes.d01().change.alert.decided_ms


def test_nothing_is_told_before_it_was_decided_or_happened() -> None:
    """Log time is that of the slowest partition: in a replay it may be an hour before a door's event."""
    shape = shapes.d01()
    early = Source(BUNDLE, shapes.T0 - HOUR_MS)
    finding = render(shape.change, shape.evidence, shape.rule, shape.person, early)
    told_ms = finding["time"]
    assert told_ms == finding["metadata"]["processed_time"] == finding["finding_info"]["modified_time"]
    assert told_ms == finding["finding_info"]["created_time"] >= finding["end_time"]


def test_low_confidence_halves_the_risk() -> None:
    finding = rendered(shapes.d26())
    assert (finding["confidence"], finding["risk_score"]) == ("Low", 22)


def test_headers() -> None:
    shape = shapes.d21()
    record = alert_record(shape.change, shape.evidence, shape.rule, shape.person, SOURCE)
    headers = dict(record.headers)
    assert record.key == shape.change.alert.uid.encode()
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == b"correlator.alert.create"
    assert headers["content-type"] == b"application/json"
    assert (headers["rule_id"], headers["severity"]) == (shape.rule.id.encode(), b"critical")
    assert headers["ce_id"].decode() == json.loads(record.value)["metadata"]["uid"]


def test_each_change_has_its_own_id() -> None:
    shape = shapes.d23()
    more = msgspec.structs.replace(shape.change, activity="update")
    ids = {
        rendered(Shape("", change, shape.evidence, shape.rule, shape.person))["metadata"]["uid"]
        for change in (shape.change, more, shape.change)
    }
    assert len(ids) == 2


TEXT = st.text(max_size=6)
SCALAR = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | TEXT
FIELD = st.sampled_from(
    [f"travel.{way}.{name}" for way in ("badge", "login") for name in ("event_id", "elapsed_s", "speed_kmh")]
    + ["presence.here", "presence.confidence", "presence.site", "last_badge.age_s", "last_badge.event_id"]
    + ["credential.state", "identity.status", "anomaly.percentile", "anomaly.pushing", "door.grant_gap_s"]
    + ["time.is_business_hours", "place.criticality", "habit.new"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(FIELD, SCALAR, max_size=8),
    st.sampled_from(["identity:e1001", "unresolved:account:x", "door:d", "door:"]),
    st.sampled_from(["create", "update", "close"]),
    st.integers(0, 3),
    st.sampled_from([make() for make in ALL]),
)
def test_total_and_valid_whatever_is_quoted(
    values: dict[str, Any], entity: str, activity: Any, known: int, shape: Shape
) -> None:
    """A rule may quote anything, and events may be gone: rendering gives a valid finding all the same."""
    alert = msgspec.structs.replace(
        shape.change.alert, entity=entity, values=tuple(sorted(values.items())), count=known
    )
    change = Change(activity, alert, "x", because=("late",))
    finding = render(change, shape.evidence[:known], shape.rule, shape.person, SOURCE)
    assert finding["finding_info"]["desc"]
    assert finding["message"]
    assert errors(json.loads(msgspec.json.encode(finding))) == []


def test_smallest_possible() -> None:
    alert = Alert("u", "r", "door:d", "low", 0, "e", ())
    finding = render(Change("create", alert, "u"), (), RuleText("r", "r", "Title"), None, Source("", 0))
    assert errors(finding) == []
    assert finding["message"] == "Title"


def test_ipv6_and_unknown_kinds_of_people() -> None:
    event = make_event(0, "e", "login", identity_id="p", ip="2001:db8::1", outcome="failure")
    alert = Alert("u", "r", "identity:p", "unheard", 0, "e", ("e",))
    person = Person("p", 0, identity_type="robot")
    finding = render(Change("create", alert, "u"), (event,), RuleText("r", "r", "T"), person, Source("", 0))
    assert errors(finding) == []
    assert finding["evidences"][0]["actor"]["user"] == {"uid": "p", "type_id": 99, "type": "robot"}
