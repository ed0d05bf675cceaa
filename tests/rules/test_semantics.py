"""What conditions mean: a test for each decided row of docs/rules-semantics.md."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from correlator.event import Event, Place
from correlator.rules.detection import Detection
from correlator.rules.interpret import holds
from correlator.rules.rule import Condition
from tests.rules.writing import ISP, LISBON, access, condition, documents, login, matches, observe, one

ABSENT = access()  # says nothing of a place, a reason, a device
PRESENT = access(device="Reader-7", place=LISBON, reason="no_access_rights")


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
    assert matches(one("device.id|windash: --x"), access(device="-/x"))
    assert not matches(one("device.id|windash: --x"), access(device="//x")), "nor is one that no word follows"


def test_fieldref_compares_two_fields_of_the_event_without_regard_to_case() -> None:
    event = access(device="ABC", session="abc", place=LISBON)
    assert matches(one("device.id|fieldref: session.id"), event)
    assert not matches(one("device.id|fieldref|neq: session.id"), event)
    assert matches(one("device.id|fieldref|startswith: session.id"), replace(event, device="abcd"))
    assert matches(one("device.id|fieldref|endswith: session.id"), replace(event, device="dabc"))
    assert matches(one("place.lat|fieldref|neq: place.lon"), event)
    greek = access(device="ΟΔΟΣΑ", session="ΟΔΟΣ")  # whose last letter has two small forms
    assert matches(one("device.id|fieldref|startswith: session.id"), greek)
    assert matches(one("device.id|fieldref: session.id"), replace(greek, device="οδοσ"))


def test_cidr_of_both_versions() -> None:
    v4, v6 = login(ip="192.0.2.7", network=ISP), login(ip="2001:db8::7")
    assert matches(one("source.ip|cidr: 192.0.2.0/24"), v4)
    assert matches(one("source.ip|cidr: [10.0.0.0/8, '2001:db8::/32']"), v6)
    assert not matches(one("source.ip|cidr: '2001:db8::/32'"), v4)
    assert not matches(one("source.ip|cidr: 10.0.0.0/8"), login(ip="no address"))
    assert matches(one("source.ip|cidr: 10.0.0.0/8"), login(ip="::ffff:10.1.2.3")), (
        "one address, two spellings"
    )
    mapped = one("source.ip|cidr: '::ffff:10.0.0.0/104'")
    assert matches(mapped, login(ip="::ffff:10.1.2.3"))
    assert matches(mapped, login(ip="10.1.2.3"))
    assert not matches(mapped, login(ip="11.1.2.3"))
    assert matches(one("source.ip|cidr: fe80::/10"), login(ip="fe80::1%eth0"))


def test_a_value_of_another_type_matches_nothing_and_is_reported() -> None:
    mismatched: list[str] = []
    assert not holds(condition(one("place.criticality: high")), observe(PRESENT), mismatched)
    assert not holds(condition(one("place.criticality|neq: high")), observe(PRESENT), mismatched)
    assert not holds(condition(one("device.id|gt: 5")), observe(PRESENT), mismatched)
    assert not holds(condition(one("access.duress: 0")), observe(PRESENT), mismatched), "0 is not false"
    assert mismatched == ["place.criticality", "place.criticality", "device.id", "access.duress"]


@pytest.mark.parametrize(
    ("line", "absent", "present"),
    [
        ("device.id: [null, reader-7]", True, True),
        ("device.id: [null, other]", True, False),
        ("device.id|neq: [null, other]", False, True),
        ("device.id|neq: [null, reader-7]", False, False),
        ("device.id|all: [null, reader-7]", False, False),
    ],
)
def test_null_may_be_one_of_several_values(line: str, absent: bool, present: bool) -> None:
    assert (matches(one(line), ABSENT), matches(one(line), PRESENT)) == (absent, present)


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
        ("a And Not b", True),
        ("a or b and b", True),
        ("(a or b) and b", False),
        ("not b and a", True),
        ("not (a and b)", True),
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
    for site in ("ΟΔΟΣ", "ΟΔΟΣΑ", "οδος", "οδοσα"):  # whose last letter has two small forms
        assert matches(one("place.site|startswith: ΟΔΟΣ"), access(place=Place(site=site))), site
    assert matches(one("place.site: ΟΔΟΣ"), access(place=Place(site="οδοσ")))
    assert matches("s: ΟΔΟΣ\ncondition: s", access(device="παροδοσα"))


def test_keywords_are_looked_for_in_every_text_of_the_event_itself() -> None:
    event = access(device="Reader-7 north", place=LISBON, reason_native="KEIN Zutritt")
    assert matches("s: [nowhere, zutritt]\ncondition: s", event)
    assert matches("s: LISB\ncondition: s", event)
    assert matches("s: {'|all': [zutritt, reader]}\ncondition: s", event), "each in another text"
    assert not matches("s: {'|all': [zutritt, window]}\ncondition: s", event)
    assert matches("s: {'|re': 'KEIN .utritt$'}\ncondition: s", event)
    assert not matches("s: {'|startswith': north}\ncondition: s", event)
    assert matches("s: [4711]\ncondition: s", event), "a number as text"
    assert not matches("s: [person]\ncondition: s", event)


def test_a_list_may_mix_keywords_and_mappings() -> None:
    mixed = "s:\n  - {access.outcome: denied}\n  - reader\ncondition: s"
    assert matches(mixed, access(device="reader"))
    assert matches(mixed, access(outcome="denied"))
    assert not matches(mixed, access())


def test_fieldref_with_an_order_compares_numbers() -> None:
    event = access(place=Place("x", lat=10.0, lon=20.0))
    assert matches(one("place.lat|fieldref|lt: place.lon"), event)
    assert matches(one("place.lon|fieldref|gte: place.lat"), event)
    assert not matches(one("place.lat|fieldref|gt: place.lon"), event)
    assert not matches(one("place.lat|fieldref|lte: place.lon"), access(place=Place("x", lat=10.0)))
    assert not matches(one("place.lat|fieldref|gt|neq: place.lon"), access(place=Place("x", lat=10.0)))


def test_parts_of_a_time_are_in_utc() -> None:
    event = access(1_798_761_599_000)  # 2026-12-31T23:59:59Z, a Thursday in ISO week 53
    for line, expected in {
        "event.time_ms|hour: 23": True,
        "event.time_ms|hour: [1, 2]": False,
        "event.time_ms|hour|gte: 22": True,
        "event.time_ms|minute|lt: 59": False,
        "event.time_ms|day: 31": True,
        "event.time_ms|month: 12": True,
        "event.time_ms|year: 2026": True,
        "event.time_ms|week: 53": True,
        "event.time_ms|week|neq: 53": False,
    }.items():
        assert matches(one(line), event) is expected, line


LISTS: dict[str, list[str | int | float]] = {
    "guards": ["4711", "47*"],
    "levels": [2, 3],
    "nets": ["10.0.0.0/8", "2001:db8::/32"],
    "none": [],
}


def expanded(line: str) -> Condition:
    document, lines = documents(f"detection:\n  s:\n    {line}\n  condition: s\n")[0]
    assert isinstance(document, dict)
    reader = Detection(lines, LISTS)
    found = reader.read(document["detection"])
    assert found is not None, reader.problems
    return found


def test_expand_puts_the_values_of_a_list_in() -> None:
    def hits(line: str, event: Event) -> bool:
        return holds(expanded(line), observe(event), [])

    assert hits("credential.id|expand: '%guards%'", access(credential="4799"))
    assert not hits("credential.id|expand: '%guards%'", access(credential="x4711"))
    assert hits("credential.id|contains|expand: '%guards%'", access(credential="x4711"))
    assert hits("device.id|expand: 'r-%guards%-%levels%'", access(device="r-4711-3"))
    assert hits("place.criticality|expand: '%levels%'", access(place=LISBON))
    assert hits("source.ip|cidr|expand: '%nets%'", login(ip="2001:db8::1"))
    assert hits("credential.id|expand|neq: '%guards%'", access(credential="1"))


def test_an_empty_value_list_is_an_error() -> None:
    document, lines = documents("detection:\n  s: {device.id|expand: '%none%'}\n  condition: s\n")[0]
    assert isinstance(document, dict)
    reader = Detection(lines, LISTS)
    assert reader.read(document["detection"]) is None
    assert "is empty" in reader.problems[0].message


def test_expand_takes_percent_signs_that_are_escaped_as_they_are() -> None:
    def hits(line: str, event: Event) -> bool:
        return holds(expanded(line), observe(event), [])

    assert hits(r"device.id|expand: '\%mode%levels%'", access(device="%mode2"))
    assert hits(r"device.id|expand: 'dom\\%guards%'", access(device="dom\\4711"))
    assert hits("device.id|expand: ['%guards%', chief]", access(device="chief"))
    assert matches(one("device.id: '%guards%'"), access(device="%guards%"))


@pytest.mark.parametrize(
    ("modifiers", "message"),
    [
        ("startswith|endswith", "|startswith and |endswith do not go together"),
        ("contains|contains", "|contains is there twice"),
        ("re|cased", "|re and |cased do not go together"),
        ("contains|re", "|re comes before |contains"),
        ("i", "|i is a flag of |re, which is missing"),
        ("hour|minute", "|hour and |minute do not go together"),
        ("gt|hour", "|hour comes before |gt"),
        ("wide|utf16be|base64", "|wide and |utf16be do not go together"),
        ("base64|base64offset", "|base64 and |base64offset do not go together"),
        ("exists|contains", "|exists and |contains do not go together"),
        ("windash|cidr", "|windash and |cidr do not go together"),
        ("windash|wide", "|windash and |wide do not go together"),
        ("startswith|fieldref", "|fieldref comes before |startswith"),
    ],
)
def test_modifiers_that_cannot_both_be_meant(modifiers: str, message: str) -> None:
    document, lines = documents(f"detection:\n  s: {{device.id|{modifiers}: '1'}}\n  condition: s\n")[0]
    assert isinstance(document, dict)
    reader = Detection(lines)
    assert reader.read(document["detection"]) is None
    assert [p.message for p in reader.problems] == [message]


def test_a_regular_expression_may_say_where_it_begins_or_ends() -> None:
    event = access(device="one\ntwo")
    assert matches(one("device.id|re|contains: ne.t"), access(device="one two"))
    assert matches(one("device.id|re|startswith: o|t"), event)
    assert not matches(one("device.id|re|startswith: n|t"), event)
    assert not matches(one("device.id|re|m|startswith: tw"), event), "of the text, not of a line"
    assert matches(one("device.id|re|endswith: 'w.|x'"), event)
    assert not matches(one("device.id|re|m|endswith: ne"), event)


@pytest.mark.parametrize(
    ("line", "device", "expected"),
    [
        (r"device.id: C:\Windows", "c:\\windows", True),
        (r"device.id: 'C:\\Windows'", "c:\\windows", True),
        (r"device.id: 'a\\*'", "a\\bc", True),
        (r"device.id: 'a\\*'", "abc", False),
        (r"device.id: 'a\\\*'", "a\\*", True),
        (r"device.id: 'a\\\*'", "a\\bc", False),
        (r"device.id: '\\\\srv'", "\\\\srv", True),
        (r"device.id: 'a\?'", "a?", True),
        (r"device.id: 'a\?'", "ab", False),
        (r"device.id|endswith: '\'", "a\\", True),
        ("device.id: 'a*b'", "a\nb", True),
        ("device.id|contains: 'a*b'", "xaxbx", True),
    ],
)
def test_backslashes_escape_wildcards_and_themselves(line: str, device: str, expected: bool) -> None:
    assert matches(one(line), access(device=device)) is expected


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "0x10", "08:30", "007", "2026-03-03", ".inf"])
def test_what_yaml_might_take_for_something_else_is_text(word: str) -> None:
    assert matches(one(f"device.id: {word}"), access(device=word))


def test_flags_of_a_regular_expression() -> None:
    event = access(device="first\nSECOND line")
    assert not matches(one("device.id|re: ^second"), event)
    assert matches(one("device.id|re|i|m: ^second"), event)
    assert matches(one("device.id|re|s: first.SECOND"), event)
    assert not matches(one("device.id|re: first.SECOND"), event)


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 10**18 - 2])
def test_whole_numbers_are_compared_to_the_last_digit(number: int) -> None:
    event = access(place=Place(floor=number))
    assert matches(one(f"place.floor: {number}"), event)
    assert matches(one(f"place.floor|gte: {number}"), event)
    assert not matches(one(f"place.floor: {number - 1}"), event)
    assert not matches(one(f"place.floor|gt: {number}"), event)
    assert matches(one(f"place.floor|neq: [{number - 1}, {number + 1}]"), event)


def test_spaces_and_slashes_are_text() -> None:
    assert matches(one("device.id: 'a  b'"), access(device="a  b"))
    assert not matches(one("device.id|contains: 'a b'"), access(device="a  b"))
    assert matches(one("device.id: '/a.c/'"), access(device="/A.C/"))
    assert not matches(one("device.id: '/a.c/'"), access(device="abc"))
    assert not matches("s: ['/a.c/']\ncondition: s", access(device="abc"))
