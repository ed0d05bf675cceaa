"""Values that a source's own record may hold and nobody thinks of: numbers without end, 1 and true, NaN."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan

import pytest

from correlator.rules.compile import compiled
from correlator.rules.interpret import holds
from correlator.rules.program import RuleProgram
from correlator.rules.recollect import Recollection, explain_alert
from correlator.rules.rule import Leaf, Text
from correlator.timeline.live import Match, Window
from correlator.timeline.raw import ALL, pack_raw, with_record
from tests.rules.writing import ID, SETTINGS, access, counting, found_by, load, observe, rule


def matched(text: str, name: str, values: Sequence[object]) -> list[Match]:
    """Matches of reads a second apart, whose records say *values* under *name*."""
    rules, problems = load(text)
    assert not problems, problems
    using, windows = RuleProgram(rules, SETTINGS), tuple[Window, ...]()
    found: list[Match] = []
    for at, value in enumerate(values):
        event = with_record(access(at * 1_000, f"{at}"), {name: value}, (ALL,))
        result = found_by(using, observe(event), windows)
        windows = result.windows
        found += result.matches
    return found


def adding(kind: str, condition: str) -> str:
    return counting(
        f"type: {kind}\nrules: [base]\ngroup-by: [identity.id]\ntimespan: 10m\n"
        f"condition: {{field: Size, {condition}}}"
    )


@pytest.mark.parametrize("values", [("1e308", "1e308"), (1e308, 1e308, 1e308)])
def test_numbers_may_add_up_to_more_than_a_float_holds(values: Sequence[object]) -> None:
    every = [str(at) for at in range(len(values))]
    assert [m.event_id for m in matched(adding("value_sum", "gte: 1.0e+308"), "Size", values)] == every
    average = "gte: 9.9e+307, lte: 1.1e+308"
    assert [m.event_id for m in matched(adding("value_avg", average), "Size", values)] == every


@pytest.mark.parametrize("values", [("1e999", "-1e999", 3), (inf, -inf, 3), (nan, 3)])
def test_what_has_no_end_is_no_number_to_add_up(values: Sequence[object]) -> None:
    (match,) = matched(adding("value_sum", "gte: 0"), "Size", values)
    assert match.event_id == str(len(values) - 1)


def test_nan_is_no_value() -> None:
    """As one it would be counted again and again, and a timeline that was restored would say otherwise."""
    assert pack_raw({"Size": nan, "Other": [nan, 1.5]}, (ALL,)) == pack_raw(
        {"Size": None, "Other": [1.5]}, (ALL,)
    )
    counted = adding("value_count", "gte: 2")
    assert matched(counted, "Size", [nan, nan, nan]) == []
    assert len(matched(rule("s: {event.kind: access, Size: null}\ncondition: s"), "Size", [nan])) == 1


def test_rules_that_ask_for_1_and_for_true_are_two() -> None:
    asked = [rule(f"s: {{event.kind: access, Flag: {value}}}\ncondition: s", number=number)
             for number, value in enumerate(("1", "true"), 1)]  # fmt: skip
    for value, number in [(1, 1), ("1", 1), (1.0, 1), (True, 2), ("true", 2), ("TRUE", 2)]:
        assert [m.rule for m in matched("---\n".join(asked), "Flag", [value])] == [ID.format(number)], value
    both = rule("s: {event.kind: access, Flag: 1}\nt: {Flag: true}\ncondition: s and not t")
    assert len(matched(both, "Flag", [1])) == 1


@pytest.mark.parametrize(
    ("values", "different"),
    [
        ((1, True), 2),
        ((1, 1.0, "1"), 2),
        ((True, "true"), 2),
        ((0, False, 0.0), 2),
        ((1, True, 1.0, True), 2),
    ],
)
def test_numbers_texts_and_truth_are_different_values_and_groups(
    values: Sequence[object], different: int
) -> None:
    assert matched(adding("value_count", f"gte: {different + 1}"), "Size", values) == []
    assert matched(adding("value_count", f"gte: {different}"), "Size", values)
    grouped = counting(
        "type: event_count\nrules: [base]\ngroup-by: [identity.id, Size]\ntimespan: 10m\ncondition: {gte: 2}"
    )
    assert len(matched(grouped, "Size", values)) == len(values) - different


def test_a_text_with_half_a_character_in_it_is_equal_to_itself() -> None:
    """Sources cannot say it, YAML cannot write it; still the two engines are to agree."""
    for text in ("a\ud800", "Σ\ud800"):
        for found, expected in ((text, True), (text.lower(), True), (text[0], False)):
            leaf = Leaf("device.id", (Text((text,)),))
            event = access(device=found)
            assert holds(leaf, observe(event), []) is expected
            assert compiled((leaf,), "access").ask(observe(event), []) == ([0] if expected else [])


def test_a_level_by_a_field_of_the_record_goes_by_what_it_says_however_it_is_written() -> None:
    block = "correlator: {severity: {by: Code, levels: {4625: high, true: critical}}}\n"
    text = rule("s: {event.kind: access}\ncondition: s", block)
    told = [(4625, "high"), ("4625", "high"), (4625.0, "high"), (True, "critical"), (4624, "low"), (1, "low")]
    for value, level in told:
        assert [m.severity for m in matched(text, "Code", [value])] == [level], value


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("Groups: admins", ["staff", "admins"]),
        ("Groups|all: [staff, admins]", ["staff", "admins"]),
        ("Groups|re: ^admins$", ["staff", "admins"]),
        ("Groups|gte: 5", [1, 7]),
        ("Groups: 'a, b'", "a, b"),
        ("Groups|neq: x", ["a", "b"]),
    ],
)
def test_an_alert_of_several_values_is_explained_by_what_it_quotes(line: str, values: object) -> None:
    text = rule(f"s: {{event.kind: access, {line}}}\ncondition: s")
    (match,) = matched(text, "Groups", [values])
    told = Recollection(
        "identity:e1", match.event_id, match.decided_ms, dict(match.values), (access(0, "0"),)
    )
    rules = load(text)[0]
    assert explain_alert(rules[0], rules, told, SETTINGS, str).state == "alert"
