"""Correlations that count correlations: how far, and what is said of those that go too far."""

from __future__ import annotations

from tests.rules.writing import load, rule

ACCESS = "s: {event.kind: access}\ncondition: s"


def counting(name: str, *rules: str) -> str:
    number = int("".join(char for char in name if char.isdigit()))
    return (
        f"---\ntitle: {name}\nid: 00000000-0000-4000-8000-{number:012}\nname: {name}\nlevel: low\n"
        f"correlation:\n  type: event_count\n  rules: [{', '.join(rules)}]\n  group-by: [identity.id]\n"
        "  timespan: 5m\n  condition: {gte: 2}\n"
    )


def chain(count: int) -> str:
    """As many correlations on one rule, each counts the one before."""
    names = ["rule_1", *(f"c{n}" for n in range(1001, 1001 + count))]
    return rule(ACCESS) + "".join(counting(names[n], names[n - 1]) for n in range(1, count + 1))


def level(number: int, width: int) -> list[str]:
    return [f"c{number}{place:02}" for place in range(width)]


def test_ten_levels_are_read() -> None:
    rules, problems = load(chain(10))
    assert problems == []
    assert len([r for r in rules if r.correlation is not None]) == 10


def test_one_level_more_is_told_once_where_it_is_too_much_and_those_on_it_say_whose_fault_it_is() -> None:
    _, problems = load(chain(13))
    assert [(p.field, p.message) for p in problems] == [
        ("correlation.rules", "are nested deeper than 10 levels"),
        ("correlation.rules[0]", "the rule 'c1011' has errors"),
        ("correlation.rules[0]", "the rule 'c1012' has errors"),
    ]


def test_levels_that_count_all_of_the_level_below_are_refused_without_going_through_every_way() -> None:
    text = rule(ACCESS) + "".join(counting(name, "rule_1") for name in level(10, 20))
    for number in range(11, 21):  # 20 ** 10 ways down
        text += "".join(counting(name, *level(number - 1, 20)) for name in level(number, 20))
    _, problems = load(text)
    own = [p.message for p in problems if p.field == "correlation.rules"]
    assert own == ["are more than 200, nested ones included"] * 20  # those of the third level


def test_what_stands_on_a_circle_is_in_none() -> None:
    text = counting("c1", "c2") + counting("c2", "c1") + counting("c3", "c2") + counting("c4", "c3")
    _, problems = load(text.removeprefix("---\n"))
    assert [p.message for p in problems] == [
        "'c2' leads back to this rule: a circle",
        "'c1' leads back to this rule: a circle",
        "the rule 'c2' has errors",
        "the rule 'c3' has errors",
    ]
