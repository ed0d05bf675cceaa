"""The closed set of converters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.intake.convert import CONVERTERS, REASONS, parse_chain
from correlator.intake.instants import Unfit
from correlator.intake.words import BACNET
from correlator.problem import Lines

LISBON = {"format": "%d/%m/%Y %H:%M:%S", "zone": "Europe/Lisbon"}


def convert(spec: object, value: object) -> object:
    chain, problems = parse_chain(spec, Lines("f.yml"), ("convert",))
    assert chain is not None, problems
    for step in chain.steps:
        value = None if value is None else step(value)
    return value


def reason(spec: object, value: object) -> str:
    with pytest.raises(Unfit) as caught:
        convert(spec, value)
    assert caught.value.reason in REASONS
    return caught.value.reason


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        ("s", 1767947462),
        ("s", 1767947462.0),
        ("s", "1767947462"),
        ("ms", 1767947462000),
        ("us", 1767947462000999),
        ("ns", "1767947462000999999"),
    ],
)
def test_epochs_of_every_unit(unit: str, value: object) -> None:
    assert convert({"epoch": unit}, value) == ms("2026-01-09T08:31:02Z")


def test_fractions_of_a_second_keep_their_milliseconds() -> None:
    assert convert({"epoch": "s"}, 1767947462.25) == ms("2026-01-09T08:31:02Z") + 250
    assert convert({"epoch": "s"}, 1767947462.2509) == ms("2026-01-09T08:31:02Z") + 250
    assert convert("iso", "2026-01-09T08:31:02.2509999Z") == ms("2026-01-09T08:31:02Z") + 250


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("noon", "bad_time"),
        (float("nan"), "bad_time"),
        ("inf", "bad_time"),
        (True, "wrong_type"),
        ([], "wrong_type"),
    ],
)
def test_what_is_no_epoch(value: object, why: str) -> None:
    assert reason({"epoch": "s"}, value) == why


def test_iso_needs_an_offset_or_a_zone() -> None:
    assert convert("iso", "2026-01-09T09:31:02+01:00") == ms("2026-01-09T08:31:02Z")
    assert convert("iso", "2026-01-09T08:31:02.123456789Z") == ms("2026-01-09T08:31:02Z") + 123
    assert reason("iso", "2026-01-09T08:31:02") == "time_without_zone"
    assert convert({"iso": "Europe/Berlin"}, "2026-07-09T10:31:02") == ms("2026-07-09T08:31:02Z")
    assert convert({"iso": "Europe/Berlin"}, "2026-07-09T08:31:02Z") == ms("2026-07-09T08:31:02Z")
    assert reason("iso", "yesterday") == "bad_time"
    assert reason("iso", 5) == "wrong_type"


def test_local_time_in_a_zone_that_the_feed_names() -> None:
    assert convert({"local": LISBON}, "09/07/2026 09:31:02") == ms("2026-07-09T08:31:02Z")
    assert convert({"local": LISBON}, "09/01/2026 08:31:02") == ms("2026-01-09T08:31:02Z")
    assert reason({"local": LISBON}, "2026-01-09") == "bad_time"


def test_in_an_hour_that_daylight_saving_skips_a_clock_had_not_gone_forward_yet() -> None:
    assert convert({"local": LISBON}, "29/03/2026 01:30:00") == ms("2026-03-29T01:30:00Z")
    assert convert({"iso": "Europe/Lisbon"}, "2026-03-29T01:30:00") == ms("2026-03-29T01:30:00Z")
    assert convert({"local": LISBON}, "29/03/2026 02:00:00") == ms("2026-03-29T01:00:00Z")


def test_an_hour_that_daylight_saving_repeats_is_the_first_unless_the_feed_says_otherwise() -> None:
    repeated = "25/10/2026 01:30:00"
    assert convert({"local": LISBON}, repeated) == ms("2026-10-25T00:30:00Z")
    assert convert({"local": LISBON | {"repeated": "second"}}, repeated) == ms("2026-10-25T01:30:00Z")
    assert reason({"local": LISBON | {"repeated": "reject"}}, repeated) == "time_repeated"
    assert convert({"iso": {"zone": "Europe/Lisbon", "repeated": "second"}}, "2026-10-25T01:30:00") == ms(
        "2026-10-25T01:30:00Z"
    )


@given(st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_instant_survives_every_way_of_writing_it(instant: datetime) -> None:
    whole = instant.replace(microsecond=0)
    expected = int(whole.timestamp() * 1000)
    assert convert("iso", whole.isoformat()) == expected
    assert convert({"epoch": "s"}, expected // 1000) == expected
    in_utc = {"format": "%Y-%m-%d %I:%M:%S %p", "zone": "UTC"}
    assert convert({"local": in_utc}, whole.strftime("%Y-%m-%d %I:%M:%S %p")) == expected


def test_enum_tables() -> None:
    table = {"enum": {"Y": "granted", "0": "denied", "true": "granted", "X": ""}}
    assert convert(table, "Y") == "granted"
    assert convert(table, 0) == "denied"
    assert convert(table, True) == "granted"
    assert convert(table, "X") is None
    assert reason(table, "Z") == "unknown_value"
    assert reason(table, {}) == "wrong_type"
    assert convert({"enum": {"Y": "granted", "*": "denied"}}, "Z") == "denied"
    assert reason({"enum": {"Y": "granted", "*": "denied"}}, []) == "wrong_type"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (143, "lost"),
        ("143", "lost"),
        ("Lost", "lost"),
        ("denied-point-no-access-rights", "point_no_access_rights"),
        ("OUT_OF_TIME_RANGE", "out_of_time_range"),
        ("CredentialNotEnabled", "disabled"),
        ("InvalidPIN", "incorrect_factor"),
        ("NotPermittedAtThisTime", "out_of_time_range"),
        ("the dog ate it", "other"),
        (20_001, "other"),
        (1, None),
        (0, None),
    ],
)
def test_bacnet_reasons_by_code_and_by_name(value: object, word: str | None) -> None:
    assert convert({"bacnet": "reason"}, value) == word


def test_bacnet_outcomes_follow_from_the_code() -> None:
    assert {code: convert({"bacnet": "outcome"}, code) for code in (1, 4, 129, 164)} == {
        1: "granted",
        4: "granted",
        129: "denied",
        164: "denied",
    }
    assert reason({"bacnet": "outcome"}, 13) == "unknown_value"
    assert reason({"bacnet": "reason"}, 70_000) == "unknown_value"
    assert reason({"bacnet": "reason"}, 1.5) == "wrong_type"


@given(st.sampled_from(sorted(BACNET)))
def test_every_bacnet_name_reads_back_as_its_code(code: int) -> None:
    assert convert({"bacnet": "reason"}, BACNET[code]) == convert({"bacnet": "reason"}, code)


@pytest.mark.parametrize(
    ("spec", "value", "found"),
    [
        ({"split": {"at": "@", "take": 0}}, "a.silva@corp", "a.silva"),
        ({"split": {"at": "\\", "take": -1}}, "CORP\\asilva", "asilva"),
        ({"split": {"at": "@", "take": 1}}, "a.silva", None),
        (["strip", "lower", {"enum": {"yes": True, "no": False}}], " YES ", True),
        ([{"split": {"at": "@", "take": 1}}, "upper"], "nobody", None),
        ("int", " -7 ", -7),
        ("int", 7.0, 7),
        ("float", "1.5", 1.5),
        ("bool", "No", False),
        ("bool", 1, True),
    ],
)
def test_pieces_case_and_types(spec: object, value: object, found: object) -> None:
    assert convert(spec, value) == found


@pytest.mark.parametrize(
    ("spec", "value", "why"),
    [
        ("int", "seven", "bad_number"),
        ("int", "٣", "bad_number"),
        ("int", "9" * 5000, "bad_number"),
        ("float", "inf", "bad_number"),
        ("float", 10**400, "bad_number"),
        ("float", [], "wrong_type"),
        ("bool", "maybe", "unknown_value"),
        ("lower", {}, "wrong_type"),
        ("upper", 10**400, "wrong_type"),
    ],
)
def test_values_that_do_not_fit(spec: object, value: object, why: str) -> None:
    assert reason(spec, value) == why


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("epock", "unknown converter 'epock'; did you mean epoch?"),
        ({"epoch": "min"}, "convert.epoch: epoch needs its unit, one of: s, ms, us, ns"),
        ({"iso": "Europe/Lisbn"}, "'Europe/Lisbn' is no time zone"),
        ({"iso": ""}, "'' is no time zone"),
        (
            {"local": {"format": "%d/%m/%Y %I:%M", "zone": "UTC"}},
            "convert.local.format: the format does not say hour",
        ),
        ({"local": {"format": "%H:%M:%S", "zone": "UTC"}}, "the format does not say year, month and day"),
        ({"local": {"format": "%Y-%m-%d %H:%M %z", "zone": "UTC"}}, "the format reads an offset"),
        ({"local": {"format": "%Y-%m-%d %Q", "zone": "UTC"}}, "not a time format"),
        ({"local": LISBON | {"repeated": "maybe"}}, "expected one of: order, first, second, reject"),
        ({"local": LISBON | {"zome": "x"}}, "convert.local.zome: unknown field"),
        ({"enum": {}}, "enum needs a table"),
        ({"enum": {"a": ["b"]}}, "convert.enum.a: expected one word"),
        ({"split": {"at": "@"}}, "split needs `at`"),
        ({"lower": "x"}, "takes no parameter"),
        ({"bacnet": "all"}, "bacnet needs what to take"),
        ([], "expected one of: epoch, iso"),
        ([5], "convert[0]: expected a converter"),
    ],
)
def test_a_converter_that_cannot_be_made_says_what_it_needs(spec: object, problem: str) -> None:
    chain, problems = parse_chain(spec, Lines("f.yml"), ("convert",))
    assert chain is None
    assert problem in str(problems[0])


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
PARAMETERS: dict[str, object] = {
    "epoch": "ms",
    "local": LISBON,
    "enum": {"a": "b"},
    "split": {"at": ".", "take": 1},
    "bacnet": "reason",
}


@given(st.sampled_from(sorted(CONVERTERS)), ANY.filter(lambda value: value is not None))
def test_any_value_is_converted_or_unfit_for_a_known_reason(name: str, value: object) -> None:
    step = CONVERTERS[name].make(PARAMETERS.get(name))
    try:
        step(value)
    except Unfit as unfit:
        assert unfit.reason in REASONS  # noqa: PT017 - not to raise is as good
