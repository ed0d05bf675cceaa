"""What rules mean: a test for each decided row of the table in docs/rules.md."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from correlator.event import Place
from correlator.rules.interpret import holds
from tests.rules.writing import ISP, LISBON, access, condition, login, matches, observe

ABSENT = access()  # says nothing of a place, a reason, a device
PRESENT = access(device="Reader-7", place=LISBON, reason="no_access_rights")


def one(line: str) -> str:
    return f"s:\n  {line}\ncondition: s"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("device.id: x", False),
        ("device.id|neq: x", False),
        ("device.id|neq: [x, y]", False),
        ("device.id|fieldref: session.id", False),
        ("device.id|fieldref|neq: session.id", False),
        ("credential.id|fieldref|neq: device.id", False),
        ("device.id|fieldref|neq: credential.id", False),
        ("device.id|exists: true", False),
        ("device.id|exists: false", True),
        ("device.id: null", True),
        ("device.id: ''", False),
        ("device.id|contains: ''", False),
        ("device.id|re: .*", False),
        ("place.criticality|lt: 9", False),
        ("source.ip|cidr: 0.0.0.0/0", False),
    ],
)
def test_an_absent_field_matches_only_null_and_exists_false(line: str, expected: bool) -> None:
    assert matches(one(line), ABSENT) is expected


def test_not_over_an_absent_field_is_plain_logic() -> None:
    assert matches("s: {device.id: x}\ncondition: not s", ABSENT)
    assert matches("s: {device.id|neq: x}\ncondition: not s", ABSENT)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("device.id: reader-7", True),
        ("device.id|cased: reader-7", False),
        ("device.id|cased: Reader-7", True),
        ("device.id: READER*", True),
        ("device.id: 'reader?7'", True),
        ("device.id: 'reader?'", False),
        (r"device.id: 'reader\*'", False),
        ("device.id|startswith: read", True),
        ("device.id|endswith: '-7'", True),
        ("device.id|contains: ADER", True),
        ("device.id|contains|all: [read, '7']", True),
        ("device.id|contains|all: [read, '8']", False),
        ("device.id: [other, reader-7]", True),
        ("device.id|neq: other", True),
        ("device.id|neq: [other, reader-7]", False),
        ("device.id|re: ader-[0-9]", True),
        ("device.id|re: READER", False),
        ("device.id|re|i: ^READER", True),
        ("device.id|exists: true", True),
        ("device.id: null", False),
        ("place.criticality: 2", True),
        ("place.criticality|gte: 2", True),
        ("place.criticality|gt: 2", False),
        ("place.criticality|lte: 2.0", True),
        ("place.criticality|neq: 3", True),
        ("access.duress: false", True),
    ],
)
def test_a_present_field(line: str, expected: bool) -> None:
    assert matches(one(line), PRESENT) is expected


def test_windash_takes_five_characters_for_one_another_any_number_of_times() -> None:
    detection = one("device.id|windash|contains: ' -a –b /c —d'")
    for dashes in ("----", "////", "–––—", "―-/–"):
        text = "x " + " ".join(f"{dash}{name}" for dash, name in zip(dashes, "abcd", strict=True))
        assert matches(detection, access(device=text)), text
    assert not matches(detection, access(device="x +a +b +c +d"))
    assert not matches(one("device.id|windash: a-b"), access(device="a/b")), "a dash within a word stays"


def test_fieldref_compares_two_fields_of_the_event_without_regard_to_case() -> None:
    event = access(device="ABC", session="abc", place=LISBON)
    assert matches(one("device.id|fieldref: session.id"), event)
    assert not matches(one("device.id|fieldref|neq: session.id"), event)
    assert matches(one("device.id|fieldref|startswith: session.id"), replace(event, device="abcd"))
    assert matches(one("device.id|fieldref|endswith: session.id"), replace(event, device="dabc"))
    assert matches(one("place.lat|fieldref|neq: place.lon"), event)


def test_cidr_of_both_versions() -> None:
    v4, v6 = login(ip="192.0.2.7", network=ISP), login(ip="2001:db8::7")
    assert matches(one("source.ip|cidr: 192.0.2.0/24"), v4)
    assert matches(one("source.ip|cidr: [10.0.0.0/8, '2001:db8::/32']"), v6)
    assert not matches(one("source.ip|cidr: '2001:db8::/32'"), v4)
    assert not matches(one("source.ip|cidr: 10.0.0.0/8"), login(ip="no address"))


def test_a_value_of_another_type_matches_nothing_and_is_reported() -> None:
    mismatched: list[str] = []
    assert not holds(condition(one("place.criticality: high")), observe(PRESENT), mismatched)
    assert not holds(condition(one("place.criticality|neq: high")), observe(PRESENT), mismatched)
    assert not holds(condition(one("device.id|gt: 5")), observe(PRESENT), mismatched)
    assert not holds(condition(one("access.duress: 0")), observe(PRESENT), mismatched), "0 is not false"
    assert mismatched == ["place.criticality", "place.criticality", "device.id", "access.duress"]


def test_a_mapping_means_all_and_a_list_of_mappings_any() -> None:
    both = "s: {access.outcome: granted, place.site: lisbon}\ncondition: s"
    either = "s:\n  - {access.outcome: denied}\n  - {place.site: lisbon}\ncondition: s"
    assert matches(both, PRESENT)
    assert not matches(both, ABSENT)
    assert matches(either, PRESENT)
    assert not matches(either, ABSENT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a and not b", True),
        ("a AND NOT b", True),
        ("b or a and b", False),
        ("(b or a) and a", True),
        ("1 of them", True),
        ("any of them", True),
        ("all of them", False),
        ("1 of a*", True),
        ("ALL OF a*", True),
        ("not 1 of b*", True),
        ("not not a", True),
    ],
)
def test_conditions(text: str, expected: bool) -> None:
    searches = "a: {access.outcome: granted}\nb: {access.outcome: denied}\n_hidden: {event.kind: x}\n"
    assert matches(f"{searches}condition: {text}", ABSENT) is expected


def test_several_conditions_are_alternatives() -> None:
    searches = "a: {access.outcome: granted}\nb: {access.outcome: denied}\n"
    assert matches(f"{searches}condition: [b, a]", ABSENT)


def test_a_search_may_be_named_like_an_operator_in_capitals() -> None:
    searches = "ALL: {access.outcome: granted}\nb: {access.outcome: denied}\n"
    assert matches(f"{searches}condition: ALL and not b", ABSENT)


def test_utf16le_is_what_other_engines_call_wide() -> None:
    encoded = "YQBiAA=="  # "ab" as UTF-16LE in base64
    assert matches(one("device.id|utf16le|base64: ab"), access(device=encoded))


def test_unicode_is_compared_in_lower_case() -> None:
    assert matches(one("place.site: ZÜRICH*"), access(place=Place(site="zürich-süd")))
