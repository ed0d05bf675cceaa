"""The paragraph and the line say what an analyst must know, chosen by what the match quotes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.alerts.explain import explain
from correlator.alerts.headline import headline
from correlator.alerts.phrases import duration, iso, local, number, several, when
from correlator.alerts.story import story
from correlator.alerts.text import RuleText, rule_text
from correlator.event import DAY_MS, FOREVER, HOUR_MS, MINUTE_MS, NEVER
from correlator.rules.asks import asks
from correlator.rules.rule import Base, Correlation, Leaf, Rule
from correlator.timeline.live import Scalar
from tests.alerts import shapes
from tests.alerts.shapes import ALL, T0, Shape, badge


def paragraph(shape: Shape) -> str:
    return explain(story(shape.change, shape.evidence, shape.rule, shape.person))


def line(shape: Shape) -> str:
    return headline(story(shape.change, shape.evidence, shape.rule, shape.person))


def test_travel_names_both_places_times_distance_and_speed() -> None:
    said = paragraph(shapes.d05())
    for part in (
        "Identity e1001 (employee, finance, home site lis)",
        "198.51.100.7 (orange, isp, FR near 48.86, 2.35 (±25 km)) on device d-55",
        "2026-03-02 09:14:05 +01:00 (08:14:05 UTC)",
        "Only 23 min 4 s earlier badge 4711 was granted at door lis-1-01",
        "1,428 km apart",
        "at least 1 h 47 min, and 23 min 4 s passed",
        "3,417 km/h",
        "one body cannot have been at both",
    ):
        assert part in said


def test_travel_that_is_possible_is_not_an_argument() -> None:
    shape = shapes.d05()
    values = dict(shape.change.alert.values) | {"travel.badge.is_impossible": False}
    assert "one body" not in paragraph(quoting(shape, values))


def test_a_visitor_is_named_with_whom_to_call() -> None:
    shape = shapes.d05()
    assert shape.person
    visitor = msgspec.structs.replace(shape.person, identity_type="visitor", department="", host_id="e7")
    told = Shape("", shape.change, shape.evidence, shape.rule, visitor)
    assert paragraph(told).startswith("Identity e1001 (visitor, host e7, home site lis): ")


def test_travel_whose_start_is_forgotten_is_told_from_the_values() -> None:
    shape = shapes.d05()
    values: dict[str, Scalar] = dict(shape.change.alert.values) | {"travel.badge.site": "lis"}
    told = Shape("", quoting(shape, values).change, shape.evidence[1:], shape.rule, shape.person)
    assert "Only 23 min 4 s earlier a badge was read at lis" in paragraph(told)


def test_absence_says_what_is_known_instead_and_what_is_assumed() -> None:
    said = paragraph(shapes.d01())
    assert "No badge read puts the person at site lis: belief in being there is 0.00 of 1" in said
    assert "last believed at site ber (0.12 of 1), the last badge read was 17 h earlier" in said
    assert "It assumes: reader group 7 quiet since 19:02, taken as complete." in said
    assert "The verdict was taken as of 15 min after it." in said
    assert "Rule out first: tailgating; a forgotten badge" in said


def test_absence_without_any_badge_read() -> None:
    said = paragraph(quoting(shapes.d01(), {"presence.here": 0.0, "last_badge.age_s": None}))
    assert "no earlier badge read is known" in said


def test_a_rule_that_asks_for_the_last_read_only_says_nothing_of_where_the_person_is() -> None:
    said = paragraph(quoting(shapes.d01(), {"presence.here": None, "last_badge.age_s": 6360.0}))
    assert "The last badge read was 1 h 46 min earlier" in said
    assert "nowhere" not in said


def test_presence_elsewhere() -> None:
    values: dict[str, Scalar] = {
        "presence.confidence": 0.95,
        "presence.site": "ber",
        "presence.since_s": 7200.0,
        "presence.age_s": 60.0,
    }
    told = quoting(shapes.d05(), values)
    assert "put the person at site ber (belief 0.95 of 1, for 2 h, newest read 1 min before)" in paragraph(
        told
    )
    assert line(told).endswith("while badged in at ber")


def test_counts_say_what_was_counted_and_what_was_asked_for() -> None:
    said = paragraph(shapes.d18())
    assert "a count of 3; the rule asks for at least 3 different place.door within 15 min" in said
    assert "doors lis-1-07, lis-1-08 and lis-1-09" in said
    assert "reasons no_access_rights ×2 and out_of_time_range" in said


def test_status_and_credential_say_since_when() -> None:
    assert "the person is terminated since 2026-02-27 08:14:05 UTC, 3 d before" in paragraph(shapes.d21())
    assert "recorded as lost since 2026-02-28 05:14:05 UTC, 2 d 3 h before" in paragraph(shapes.d23())
    assert "It happened 1 more time since." in paragraph(shapes.d23())


def test_status_without_a_beginning() -> None:
    shape = shapes.d21()
    assert shape.person
    person = msgspec.structs.replace(shape.person, statuses=((NEVER, "terminated"),))
    told = Shape("", shape.change, shape.evidence, shape.rule, person)
    assert "the person is terminated." in paragraph(told)


def test_scores_say_what_pushed_them_and_never_all() -> None:
    said = paragraph(shapes.d26())
    assert "more unusual than 99.6 % of what the model scored before" in said
    assert "because of hour of week and door rarity" in said
    assert "outside business hours (Monday 03:14 +00:00) and zone lis-lab has criticality 5 of 5" in said
    assert "Confidence is low" in said


def test_doors_say_what_would_have_explained_them() -> None:
    said = paragraph(shapes.d28())
    assert "No granted read explains it (the last was 3 h 4 min before)" in said
    assert "no request to exit explains it (none is known); 1 earlier forced report of this door" in said


def test_habits_are_told_with_the_days_that_they_rest_on() -> None:
    values: dict[str, Scalar] = {
        "habit.active_days": 42, "habit.vpn_on_site": 0.25, "first_seen.door": True, "days_since.country": 3,
        "habit.site_days": 9, "habit.counted_days": 30, "days_since.badge": 1,
    }  # fmt: skip
    said = paragraph(quoting(shapes.d26(), values))
    assert (
        "Of 42 active days: a VPN is used on site on 25 % of days, 9 of 30 days at this site, never before "
        "at this door, last in this country 3 days before and the last read was a day before."
    ) in said
    said = paragraph(quoting(shapes.d26(), {"habit.active_days": 4}))
    assert "not known yet: 4 of 10 active days were seen" in said


def test_what_no_sentence_knows_is_listed() -> None:
    values: dict[str, Scalar] = {
        "passback.gap_s": 0.0123456789,
        "passback.is_violated": True,
        "vpn.name": "x",
    }
    said = paragraph(quoting(shapes.d26(), values))
    assert "Also: passback.gap_s is 0.0123457, passback.is_violated is true and vpn.name is x." in said


def test_a_close_says_what_closed_it() -> None:
    said = paragraph(shapes.retracted())
    assert said.endswith(
        "Closed as retracted: it became known late that badge 4711 was granted at door lis-1-01 "
        "(zone lis-office, site lis) [door opened, direction in] at 2026-03-02 08:04:05 UTC."
    )
    assert "Closed as superseded by alert 5555555555555555" in paragraph(shapes.superseded())


def test_unresolved_credentials_and_clamped_clocks() -> None:
    shape = shapes.unresolved()
    assert paragraph(shape).startswith("Badge 9999 (belongs to nobody known): badge 9999 was denied")
    ahead = msgspec.structs.replace(shape.evidence[-1], time_claimed_ms=T0 + HOUR_MS)
    told = Shape("", shape.change, (ahead,), shape.rule, None)
    assert "Its source claimed 2026-03-02 09:14:05 UTC, which was ahead of its arrival" in paragraph(told)


def test_a_line_without_a_better_word_says_what_the_rule_is_called() -> None:
    """`console login at lis` alone does not say what is wrong."""
    told = quoting(shapes.d01(), {})
    assert line(told) == f"console login at lis: {told.rule.title}"


def test_a_line_whose_event_is_forgotten_still_counts() -> None:
    shape = shapes.d23()
    assert line(Shape("", shape.change, (), shape.rule, shape.person)) == f"{shape.rule.title} (+1)"


def test_a_country_is_where_a_login_comes_from() -> None:
    shape = shapes.d05()
    begin = shape.evidence[-1]
    values: dict[str, Scalar] = {
        "travel.login.is_impossible": True, "travel.login.elapsed_s": 60.0, "travel.login.event_id": begin.id,
    }  # fmt: skip
    end = badge("later", T0 + 2 * HOUR_MS, shapes.LOBBY)
    alert = msgspec.structs.replace(
        shape.change.alert, event_id=end.id, evidence=(begin.id, end.id), values=tuple(values.items())
    )
    change = msgspec.structs.replace(shape.change, alert=alert)
    assert line(Shape("", change, (begin, end), shape.rule, shape.person)).endswith("after a login from FR")


def test_places_that_are_one_on_a_map_have_no_distance() -> None:
    values: dict[str, Scalar] = {
        "travel.badge.is_impossible": True, "travel.badge.elapsed_s": 83.0, "travel.badge.distance_km": 0.0,
        "travel.badge.minimum_s": 360.0,
    }  # fmt: skip
    said = paragraph(quoting(shapes.d05(), values))
    assert " km" not in said.split("Rule")[0].split("Only")[1]
    assert "The way takes at least 6 min, and 1 min 23 s passed: one body cannot have been at both." in said


def test_what_is_not_counted_completes_no_count() -> None:
    shape = shapes.d18()
    rule = msgspec.structs.replace(shape.rule, asks="certain events together within 1 min")
    alert = msgspec.structs.replace(shape.change.alert, count=1)
    change = msgspec.structs.replace(shape.change, alert=alert)
    said = paragraph(Shape("", change, shape.evidence, rule, shape.person))
    assert "The rule asks for certain events together within 1 min. The 3 events" in said
    assert "a count of" not in said


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_a_line_fits_a_screen(make: object) -> None:
    assert callable(make)
    assert 10 < len(line(make())) <= 120


def test_a_rule_tells_what_it_asks_for() -> None:
    base = Base("b", Leaf("access.outcome", ()), (), ("place.door",))
    correlation = Correlation("value_count", (base,), 15 * MINUTE_MS, (("gte", 3), ("lt", 10)))
    rule = Rule("i", "n", "T.", "identity", "low", correlation=correlation, description="Two\n lines.")
    text = rule_text(rule)
    names = frozenset({"access.outcome", "place.door"})
    assert text == RuleText(
        "i", "n", "T", "Two lines", "low", hash=rule.fingerprint, asks=text.asks, names=names
    )
    assert text.asks == "at least 3 and fewer than 10 different place.door within 15 min"


def test_times_are_local_with_offset_and_utc() -> None:
    assert when(T0, 0) == "2026-03-02 08:14:05 UTC"
    assert when(T0, 330) == "2026-03-02 13:44:05 +05:30 (08:14:05 UTC)"
    assert when(T0, -540) == "2026-03-01 23:14:05 -09:00 (2026-03-02 08:14:05 UTC)"
    assert local(T0, -30) == "2026-03-02 07:44:05 -00:30"
    assert iso(T0 + 7, 60) == "2026-03-02T09:14:05.007+01:00"


@given(st.integers(NEVER, FOREVER), st.integers(-14 * 60, 14 * 60))
def test_any_time_can_be_printed(time_ms: int, offset_min: int) -> None:
    assert when(time_ms, offset_min)
    assert len(iso(time_ms, offset_min)) == 29


def test_durations_numbers_and_lists() -> None:
    spans = (0, 400, 12_000, 23 * MINUTE_MS + 4000, 2 * HOUR_MS, 51 * HOUR_MS, 3 * DAY_MS)
    said = [duration(span) for span in spans]
    assert said == ["0 s", "0.4 s", "12 s", "23 min 4 s", "2 h", "2 d 3 h", "3 d"]
    rounded = (59_600, 78 * MINUTE_MS + 59_200, 23 * HOUR_MS + 59 * MINUTE_MS + 40_000, 49_400)
    assert [duration(span) for span in rounded] == ["1 min", "1 h 19 min", "1 d", "49 s"]
    assert [number(value) for value in (0.5, 3.0, 1427.65)] == ["0.5", "3", "1,428"]
    assert [several(words) for words in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
    assert several("abcdefgh", 2) == "a, b and 6 more"


def test_a_verdict_that_waits_longer_for_clocks_that_are_off_says_so() -> None:
    shape = shapes.d01()
    (event,) = shape.evidence
    off = msgspec.structs.replace(event, shape=msgspec.structs.replace(event.shape, site_skew_s=25))
    rule = msgspec.structs.replace(shape.rule, retaken="access")
    said = paragraph(Shape(shape.name, shape.change, (off,), rule, shape.person))
    assert "as of 15 min after it, 25 s of that for clocks at the site that are off." in said
    windowed = msgspec.structs.replace(rule, asks="two of them within 1 h")
    assert "as of 15 min after it." in paragraph(
        Shape(shape.name, shape.change, (off,), windowed, shape.person)
    )


def quoting(shape: Shape, values: dict[str, Scalar]) -> Shape:
    """*shape* with other quoted values."""
    alert = msgspec.structs.replace(shape.change.alert, values=tuple(sorted(values.items())))
    change = msgspec.structs.replace(shape.change, alert=alert)
    return Shape(shape.name, change, shape.evidence, shape.rule, shape.person)


def test_a_storm_of_one_or_two_has_nothing_in_common() -> None:
    values: dict[str, Scalar] = {"storm.budget": 20, "storm.common": "door lis-1-01", "storm.share": 0.5}
    shape = quoting(shapes.d18(), values)
    for count, is_said in ((1, False), (2, False), (4, True)):
        alert = msgspec.structs.replace(shape.change.alert, entity="storm:d18", count=count)
        change = msgspec.structs.replace(shape.change, alert=alert)
        told = Shape("", change, shape.evidence, shape.rule, None)
        assert ("50 % of them have door lis-1-01 in common" in paragraph(told)) == is_said
        assert ("50 % of door lis-1-01" in line(told)) == is_said


def test_steps_are_named_by_the_titles_of_their_rules() -> None:
    titles = {"r1": "Badged in", "r2": "Badged out"}
    bases = tuple(Base(rule, None, (), ()) for rule in titles)
    absent = Correlation("temporal", bases, 60_000, (), ((0, ~1),))
    assert asks(absent, titles) == '"Badged in" and not "Badged out"'
    assert asks(absent) == "certain events, and others not to happen,"
    either = msgspec.structs.replace(absent, clauses=((0,), (1,)))
    assert asks(either, titles) == '"Badged in", or "Badged out"'
    ordered = Correlation("temporal_ordered", bases, 60_000, (("gte", 2),))
    assert asks(ordered, titles) == '"Badged in", then "Badged out"'
    assert (
        asks(msgspec.structs.replace(ordered, type="temporal"), titles) == "at least 2 of 2 kinds of events"
    )
