"""One mistake does not hide another, and a word that is none names the nearest one."""

from __future__ import annotations

from datetime import date

import pytest

from correlator.rules.interpret import holds
from correlator.rules.load import load_rules
from tests.rules.test_advice import ANY, BLOCK, advice, of_search
from tests.rules.test_load import LOGIN, assert_said, said
from tests.rules.writing import ID, access, counting, documents, load, observe, rule


def test_mistakes_beside_a_mistake_are_said_too() -> None:
    """Of a correlation the rules and fields that it names, of a block the fields that it settles at."""
    section = (
        "type: event_counts\nrules: [base, bas]\ngroup-by: [identity.ids]\ntimespan: 10m\ncondition: {gte: 5}"
    )
    assert_said(
        counting(section),
        "correlation.type: must be one of",
        "correlation.rules[1]: there is no rule 'bas': did you mean base?",
        "correlation.group-by[0]: unknown field 'identity.ids': did you mean identity.id?",
    )
    assert_said(
        rule("s: {event.kind: login}\ncondition: s", "correlator: {settle: {at: place.sit}}\n"),
        "correlator.settle: feed is missing",
        "correlator.settle: grace is missing",
        "correlator.settle.at: unknown field 'place.sit': did you mean place.site?",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("status: expermental\n", "status: must be one of: stable, test, experimental"),
        ("tags: [attack.t1078, t1078]\n", "tags[1]: 't1078' has no namespace, as in attack.t1078"),
        ("correlator: {mode: shadwo}\n", "mode: must be one of: alert, shadow, off: did you mean shadow?"),
    ],
)
def test_words_that_are_none(line: str, message: str) -> None:
    assert_said(rule("s: {event.kind: login}\ncondition: s", line), message)


def test_look_around_is_beyond_re2() -> None:
    assert_said(rule(f"{LOGIN}device.id|re: '(?=x)'\ncondition: s"), "RE2 has no look-around")


def test_a_wrong_type_at_the_top_hides_nothing() -> None:
    text = rule("s: {event.kind: login}\ncondition: s", "status: experimantal\n").replace(
        "level: low", "level: 3"
    )
    assert_said(
        text.replace(f"id: {ID.format(1)}", "id: 1234").replace("title: A rule", "title: [x]"),
        "1:1 title: must be text",
        "2:1 id: must be a UUID, in quotes if it begins like a number",
        "4:1 level: must be text",
        "status: must be one of: stable, test, experimental, deprecated, unsupported: did you mean",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("time.hour|gte: '20'", "|gte takes a number, without quotes, not '20'"),
        ("time.hour|lt: true", "|lt takes a number, without quotes, not true"),
        ("time.hour|lt: 9999999999999999999", "|lt takes a number of at most 18 digits, not 99999999"),
        ("device.id|exists: yes it is", "|exists takes true or false, not 'yes it is'"),
        ("source.ip|cidr: 10", "|cidr takes a network such as 10.0.0.0/8, not 10"),
        ("device.id|re: 5", "|re takes a regular expression, in quotes, not 5"),
        ("device.id|contains: 4711", "|contains takes text, in quotes, not 4711"),
        ("device.id|startswith: [a, null]", "|startswith takes text, in quotes, not null"),
        ("device.id|cased: true", "|cased takes text, in quotes, not true"),
        ("device.id|windash: null", "|windash takes text, in quotes, not null"),
        ("device.id|windash|contains: [a, 5]", "takes text, in quotes, not 5"),
        ("device.id|fieldref: null", "|fieldref takes the name of another field, not null"),
    ],
)
def test_what_modifiers_take_is_said_in_words(line: str, message: str) -> None:
    assert_said(rule(f"{LOGIN}{line}\ncondition: s"), message)


@pytest.mark.parametrize("key", ["device.id", "device.id|contains", "device.id|neq", "'|all'", "'|re'"])
def test_a_list_without_values_is_no_search(key: str) -> None:
    """Keywords of an empty list would hold of every event."""
    assert_said(
        rule(f"s: {{{key}: []}}\ncondition: s"), "is an empty list: write null for a field that is absent"
    )


def test_one_mistake_in_a_budget_is_one_message() -> None:
    assert_said(
        rule("s: {event.kind: login}\ncondition: s", "correlator: {budget: 3}\n"),
        "budget: must be a mapping of: alerts, per, entities, such as budget: {alerts: 3, per: 8h}",
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("less", ": did you mean lt?"),
        ("not", ": did you mean neq?"),
        ("regexp", ": did you mean re?"),
        ("startwith", ": did you mean startswith?"),
        ("qqqq", ": one of contains, startswith"),
    ],
)
def test_modifiers_of_other_languages_name_ours(written: str, meant: str) -> None:
    assert_said(rule(f"{LOGIN}device.id|{written}: x\ncondition: s"), f"unknown modifier {written!r}{meant}")


@pytest.mark.parametrize(
    ("left_out", "example"),
    [
        ("rules: [base]", "rules: [denied]"),
        ("group-by: [identity.id]", "group-by: [identity.id]"),
        ("timespan: 10m", "timespan: 10m"),
        ("condition: {gte: 5}", "condition: {gte: 5}"),
    ],
)
def test_what_a_correlation_lacks_is_shown(left_out: str, example: str) -> None:
    lines = ["type: event_count", "rules: [base]", "group-by: [identity.id]"]
    lines += ["timespan: 10m", "condition: {gte: 5}"]
    text = "\n".join(line for line in lines if line != left_out)
    problems = said(counting(text))
    assert any(f"is missing: {example}" in problem for problem in problems), problems


def test_a_misspelt_reference_makes_no_mistakes_of_the_rule_that_is_meant() -> None:
    """A counted rule needs neither id nor level."""
    section = "type: event_count\nrules: [bass]\ngroup-by: [identity.id]\ntimespan: 10m\ncondition: {gte: 5}"
    assert_said(counting(section), "there is no rule 'bass': did you mean base?")


@pytest.mark.parametrize(
    ("event", "more", "message"),
    [
        ("offset: 999999999w", "", "events[0].offset: is longer than 36500d"),
        ("arrives: -999999999w", "", "events[0].arrives: is longer than 36500d"),
        ("repeat: {every: 30000d, times: 5000}", "", "events[0].repeat: goes on for longer than 36500d"),
        ("offset: 0s", "start: 9999-12-31T23:59:59Z", "start: must be a time from 1970 to 2969"),
        ("offset: 0s", "expect_at: 99999999w", "expect_at: is longer than 36500d"),
    ],
)
def test_times_of_a_test_that_no_calendar_has(event: str, more: str, message: str) -> None:
    case = f"{{name: t, expect: match, events: [{{{event}, event.kind: access}}], {more}}}"
    assert_said(rule("s: {event.kind: access}\ncondition: s", f"correlator: {{tests: [{case}]}}\n"), message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: A rule", "title: ' '", "title: must be text: it is the first that an alert says"),
        ("{product: x}", "{product: x, service: []}", "logsource.service: must be text"),
        ("level: low", "level: low\nreferences: [5]", "references[0]: must be text: put it in quotes"),
        ("level: low", "level: low\ncorrelator: {tests: null}", "correlator.tests: must be a list of tests"),
        ("device.id: x", "place.criticality: 2.5", "place.criticality is a whole number, never 2.5"),
    ],
)
def test_what_is_left_empty_or_of_another_type_is_said(old: str, new: str, message: str) -> None:
    text = rule("s: {event.kind: access, device.id: x}\ncondition: s")
    assert_said(text.replace(old, new), message)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("s and", "condition: cannot be read at its end: names of searches, and, or, not"),
        ("s & s", "condition: cannot be read at '&', character 3: names of searches, and, or, not"),
        ("s and t u", "condition: cannot be read at 'u', character 9"),
        ("s | count() > 5", "counts nothing since Sigma 2: write a correlation"),
    ],
)
def test_a_condition_that_cannot_be_read_says_where(condition: str, message: str) -> None:
    assert_said(rule(f"s: {{event.kind: login}}\nt: {{device.id: x}}\ncondition: {condition}"), message)


def test_many_parentheses_are_no_depth() -> None:
    wide = " or ".join(["(s and not t)"] * 60)
    assert said(rule(f"s: {{event.kind: login}}\nt: {{device.id: x}}\ncondition: {wide}")) == []
    deep = "(" * 41 + "s" + ")" * 41
    assert_said(rule(f"s: {{event.kind: login}}\ncondition: {deep}"), "is too long or too deeply nested")


def test_what_cannot_be_counted_by_names_what_stands_there() -> None:
    assert_said(
        counting("type: event_count\nrules: [base]\ngroup-by: [User]\ntimespan: 10m\ncondition: {gte: 5}"),
        "group-by: must name one of identity.id, place.door, place.zone, source.ip, device.id beside these",
    )


def test_events_of_tests_say_what_is_wanted_in_the_words_of_the_reference() -> None:
    block = "correlator: {{tests: [{{name: a, expect: match, events: [{{event.kind: login, {0}}}]}}]}}\n"
    for line, message in (
        ("login.logon_type: 3", "login.logon_type must be text"),
        ("place.floor: x", "place.floor must be a number"),
        (
            "User: {Name: ana}",
            "a value, or a list of values: write User.Name, also through lists",
        ),
        ("Users: [{Name: ana}]", "write Users.Name, also through lists"),
    ):
        assert_said(rule("s: {event.kind: login}\ncondition: s", block.format(line)), message)


def test_a_misspelt_block_is_said_once() -> None:
    text = rule("s: {event.kind: login}\ncondition: s", "corelator: {risk: 3}\n")
    problems = load_rules(documents(text), today=date(2026, 11, 30))[1]
    assert [problem.severity for problem in problems if problem.field == "corelator"] == ["error"]


@pytest.mark.parametrize("name", ["connections[any]", "args[0]", "ips[-1]", "a[all].b"])
def test_members_of_lists_are_not_asked_for_in_brackets(name: str) -> None:
    """As engines do that try a later Sigma: here it is a name that no record has."""
    said = (
        f"detection.s.{name}|endswith: [{name.partition('[')[2].partition(']')[0]}] is part of the name here"
    )
    assert any(line.startswith(said) for line in of_search(f"'{name}|endswith': x"))
    assert not any("is part of the name" in line for line in of_search("'args\\[0\\]': x"))


def test_tactics_of_the_newest_matrix_are_known() -> None:
    tags = "tags: [attack.stealth, attack.defense-impairment, attack.defense-evasion]\n"
    assert not any("tactic" in line for line in advice(rule(ANY, BLOCK + tags)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"device.id: {'x' * 4_097}", "is a text of more than 4096 characters: no field holds so many"),
        (f"device.id|re|i: {'k' * 700_000}", "is a text of more than 4096 characters"),
        (f"device.id|contains: {'a?' * 101}", "has more than 100 wildcards in one text"),
        (f"device.id|windash: {' -a' * 101}", "has more than 100 wildcards in one text"),
        ("device.id|re: '(a{999}){999}'", "is no regular expression"),
    ],
)
def test_what_no_pattern_can_hold_is_an_error_and_not_a_traceback(line: str, message: str) -> None:
    assert_said(rule(f"{LOGIN}{line}\ncondition: s"), message)


def test_texts_and_patterns_as_long_as_they_may_be_are_evaluated() -> None:
    most = rule(f"s:\n  device.id:\n    - '{'ß*' * 100}'\n    - '*{'Σ' * 4_000}'\ncondition: s")
    rules, problems = load(most)
    assert problems == []
    assert rules[0].condition is not None
    assert not holds(rules[0].condition, observe(access(device="x")), [])
    assert holds(rules[0].condition, observe(access(device="ς" * 4_000)), [])


@pytest.mark.parametrize(
    ("related", "message"),
    [
        ("[{id: x, type: similar}]", "related[0].id: must be a UUID"),
        (
            f"[{{id: {ID.format(2)}, type: obsoletes}}]",
            "must be one of: derived, obsolete, merged, renamed, similar",
        ),
        ("[derived]", "related[0]: must be a mapping {id, type}"),
        ("derived", "related: must be a list of {id, type}"),
    ],
)
def test_what_is_related_is_said_item_by_item(related: str, message: str) -> None:
    assert_said(rule("s: {event.kind: login}\ncondition: s", f"related: {related}\n"), message)
    fine = f"related: [{{id: {ID.format(2)}, type: derived}}]\n"
    assert load(rule("s: {event.kind: login}\ncondition: s", fine))[1] == []


def test_a_document_is_one_rule() -> None:
    text = rule("s: {event.kind: login}\ncondition: s")
    more = "correlation: {type: event_count}\n"
    assert_said(text + more, "9:1 correlation: detection and correlation are rules of their own")
    assert_said(text + more + "filter: {rules: any}\n", "detection and correlation and filter are rules of")
    none = "1:1 detection: is missing: a rule has a detection, a correlation or a filter"
    assert_said(text[: text.index("detection:")], none)


def test_a_list_of_texts_with_a_mapping_in_it_is_an_error_where_it_stands() -> None:
    extra = "falsepositives:\n  - a delivery\n  - two leaves of a gate: give them one door\n"
    text = rule("s: {event.kind: login}\ncondition: s", extra)
    assert_said(text, "11:5 falsepositives[1]: must be text: put it in quotes (a colon makes a mapping")


def test_a_condition_that_is_misspelt_is_named() -> None:
    assert_said(rule("s: {event.kind: login}\nconditon: s"), "has no condition: is 'conditon' it?")
    (told,) = said(rule("s: {event.kind: login}"))
    assert told.endswith("has no condition")


def test_what_is_settled_at_holds_a_site() -> None:
    settle = "correlator: {{settle: {{feed: access, at: {}, grace: 1m}}}}\n"
    search = "s: {event.kind: login, presence.here|lt: 0.5}\ncondition: s"
    assert said(rule(search, settle.format("identity.home_site"))) == []
    assert_said(rule(search, settle.format("login.outcome")), "must be the name of a field that holds a site")


def test_durations_say_which_units_there_are() -> None:
    for wrong in ("1y", "30min", "1h30m", "10", "1.5h"):
        (told,) = said(rule(ANY, f"correlator: {{suppress: {{for: {wrong}}}}}\n"))
        assert told.endswith("such as 30s, 5m, 8h or 2d: a whole number and one of ms, s, m, h, d, w")


@pytest.mark.parametrize("title", [r"\e[31mred", r"one\ntwo", r"\u202Ederever"])
def test_a_title_does_not_steer_a_terminal(title: str) -> None:
    text = rule(ANY).replace("title: A rule", f'title: "{title}"')
    assert_said(text, "title: must be one line of text without control characters")


def test_messages_show_what_would_steer_a_terminal() -> None:
    text = rule('"a\\e[2J": 1\ns: {event.kind: login, "x\\e[31m\\ny": 1}\ncondition: s and q')
    problems = [str(problem) for problem in load(text)[1]]
    assert any("aU+001B[2J" in told for told in problems)
    assert all(told.isprintable() for told in problems), problems


def test_a_document_of_tests_that_is_misspelt() -> None:
    text = rule(ANY) + "---\nrule: rule_1\ntest: [{name: a, expect: match, events: [{event.kind: access}]}]\n"
    assert said(text) == [
        "10:1 : tests is missing: a document with rule: holds tests of a rule that stands elsewhere",
        "11:1 test: unknown key 'test': did you mean tests?",
    ]


def test_a_name_that_is_not_finished_is_named() -> None:
    assert_said(
        rule("s: {event.kind: access, place.crit: 3}\ncondition: s"), "did you mean place.criticality?"
    )


def test_a_budget_says_all_of_it() -> None:
    for written, lacks in {"{alerts: 3}": "per", "{per: 8h, entities: 4}": "alerts"}.items():
        text = rule(ANY, f"correlator: {{budget: {written}}}\n")
        assert_said(text, f"correlator.budget: {lacks} is missing: budget: {{alerts: 3, per: 8h}}")
    assert said(rule(ANY, "correlator: {budget: {entities: 4}}\n")) == []
