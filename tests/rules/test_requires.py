"""A rule is inert where what it requires is not there; it is known where, and counted."""

from __future__ import annotations

from msgspec.structs import replace

from correlator.event import Place, Score
from correlator.rules.program import RuleProgram
from correlator.timeline.settings import FeedTiming, Settings, SiteTiming
from tests.intake.company import sites
from tests.rules.writing import ID, access, counting, found_by, load, observe, rule

ANY = "s: {event.kind: access}\ncondition: s"
SETTINGS = Settings(
    feeds=(FeedTiming("badge", "access", "b"), FeedTiming("sso", "login", "l")),
    sites=(
        SiteTiming("lisbon", "UTC"),
        SiteTiming("boston", "UTC", sources=(("sso", "idp"),), has_readers=False, has_exits=False),
        SiteTiming("shed", "UTC", has_readers=False, has_exits=False),
    ),
)


def program(requires: str, settings: Settings = SETTINGS) -> RuleProgram:
    rules, problems = load(rule(ANY, f"correlator: {{requires: {requires}}}\n"))
    assert problems == []
    return RuleProgram(rules, settings)


def matched(using: RuleProgram, site: str = "", score: Score | None = None) -> int:
    event = access(place=Place(site) if site else None, score=score)
    observation = replace(observe(event), settings=using.settings)
    return len(found_by(using, observation).matches)


def test_where_a_rule_is_inert_is_known_from_the_configuration() -> None:
    using = program("{feeds: [access, door], exit_reads: true}")
    assert dict(using.rules[ID.format(1)].inert) == {
        "lisbon": ("no door feed",),
        "boston": ("no access feed", "no door feed", "no readers with direction out"),
        "shed": ("no door feed", "no readers", "no readers with direction out"),
    }


def test_an_inert_rule_does_not_match_and_is_counted() -> None:
    using = program("{feeds: [access]}")
    assert [matched(using, site) for site in ("lisbon", "boston", "shed", "")] == [1, 0, 0, 0]
    assert using.inert == {ID.format(1): 3}


def test_exit_reads() -> None:
    assert [matched(program("{exit_reads: true}"), site) for site in ("lisbon", "boston")] == [1, 0]


def test_a_warm_model() -> None:
    using = program("{warm_model: true}")
    scores = (None, Score(0.9, is_warm=False), Score(0.9, is_warm=True))
    assert [matched(using, "boston", score) for score in scores] == [0, 0, 1]


def test_where_no_sites_are_known_everything_is_there() -> None:
    assert matched(program("{feeds: [access], exit_reads: true}", Settings()), "anywhere") == 1


def test_a_correlation_is_inert_where_it_is_reached() -> None:
    section = "type: event_count\nrules: [base]\ngroup-by: [identity.id]\ntimespan: 10m\ncondition: {gte: 1}"
    rules, _ = load(counting(section, "correlator: {requires: {exit_reads: true}}\n"))
    using = RuleProgram(rules, SETTINGS)
    assert [matched(using, site) for site in ("lisbon", "boston")] == [1, 0]


def test_readers_and_exits_come_from_the_sites_file() -> None:
    told = {site.site: (site.has_readers, site.has_exits) for site in sites().timing()}
    assert told == {"lisbon": (True, True), "boston": (True, False)}
