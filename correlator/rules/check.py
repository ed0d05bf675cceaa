"""What a rule may ask, given the field table: names, types, entity kinds, and conclusions from what was
not seen.

A rule that tests another feed's context *downward* (it holds when that feed says little or nothing) would
fire whenever the feed is a minute behind, so it must `settle`.
"""

from __future__ import annotations

from correlator.event import KINDS, EntityKind
from correlator.problem import Path
from correlator.rules.interpret import searches, text_matches
from correlator.rules.reading import Reader
from correlator.rules.rule import (
    KEYWORDS,
    And,
    Base,
    Cidr,
    Compare,
    Condition,
    Correlation,
    Exists,
    Leaf,
    Not,
    Null,
    Or,
    Refers,
    Regex,
    Same,
    Settle,
    Test,
    Text,
    TimePart,
)
from correlator.rules.vendor import Names
from correlator.timeline.field import Field

TIME = "event.time_ms"  # the field that is a time
_NOTHING = ("", "unknown", "absent", "none", "out")  # values that say that nothing was seen


def kinds_of(condition: Condition) -> frozenset[str]:
    """Kinds of events of which *condition* can hold, as far as it says `event.kind`."""
    match condition:
        case And(args):
            return frozenset(KINDS).intersection(*map(kinds_of, args))
        case Or(args):
            return frozenset[str]().union(*map(kinds_of, args))
        case Leaf("event.kind", tests, False, False) if all(isinstance(t, Text) for t in tests):
            return frozenset(k for k in KINDS for t in tests if isinstance(t, Text) and text_matches(t, k))
    return frozenset(KINDS)


def kinds_of_correlation(correlation: Correlation) -> frozenset[str]:
    """Kinds of events of which a rule that *correlation* counts can hold."""
    return frozenset[str]().union(*map(kinds_of_base, correlation.bases))


def kinds_of_base(base: Base) -> frozenset[str]:
    if base.condition is not None:
        return kinds_of(base.condition)
    return kinds_of_correlation(base.correlation) if base.correlation is not None else frozenset()


def name_problem(name: str, entity: EntityKind, fields: Names) -> str:
    """Why *name* is no field that the timeline of *entity* has, or nothing."""
    field = fields.get(name)
    if field is None:
        return fields.unknown(name)
    if entity not in field.entities:
        has = " and ".join(field.entities)
        return f"{name} is a field of the entity {has}; this rule is evaluated on {entity}"
    return ""


def check_name(reader: Reader, name: str, path: Path, entity: EntityKind, fields: Names) -> bool:
    """Is *name* a field that the timeline of *entity* has? Says why not."""
    problem = name_problem(name, entity, fields)
    if problem:
        reader.say(path, problem)
    return not problem


def leaf_problems(leaf: Leaf, entity: EntityKind, fields: Names) -> list[str]:
    """Fields of *leaf* that are not there, and what they cannot be asked."""
    found = [problem for name in leaf.reads() if (problem := name_problem(name, entity, fields))]
    if found or leaf.field == KEYWORDS:
        return found
    field = fields[leaf.field]
    return [message for test in leaf.tests if (message := _mismatch(test, field, fields))]


def _mismatch(test: Test, field: Field, fields: Names) -> str:
    """Why *test* can never hold of *field*, or nothing."""
    others = [fields[test.field]] if isinstance(test, Refers) else []
    if any(each.value_type == "raw" for each in (field, *others)):
        return ""
    is_text, is_number = field.value_type == "str", field.value_type in {"int", "float"}
    has = f"{field.name} is {NAMES[field.value_type]}"
    match test:
        case Text() | Regex() | Cidr() if not is_text:
            return f"{has}: write {'a number' if is_number else 'true or false'}, without quotes"
        case Compare() if not is_number:
            return f"{has}: lt, lte, gt and gte are for numbers"
        case Same(bool()) if field.value_type != "bool":
            return f"{has}, not true or false"
        case Same() if not isinstance(test.value, bool) and not is_number:
            return f"{has}: write the value in quotes" if is_text else f"{has}: write true or false"
        case Same(float() as number) if field.value_type == "int" and not number.is_integer():
            return f"{field.name} is a whole number, never {number:g}"
        case TimePart(part, _, _) if field.name != TIME:
            return f"{has}, not a time: |{part} is for {TIME}, in UTC; local time is in time.hour and others"
        case Refers(name, "lt" | "lte" | "gt" | "gte") if (
            not is_number or fields[name].value_type not in _NUMBERS
        ):
            return f"{has}, {name} is {NAMES[fields[name].value_type]}: lt, lte, gt and gte are for numbers"
        case Refers(name, relation):
            other = fields[name].value_type
            if is_text != (other == "str") or (field.value_type == "bool") != (other == "bool"):
                return f"{has}, {name} is {NAMES[other]}: they are never equal"
            if relation in {"starts", "ends", "contains"} and not is_text:
                return f"{has}: startswith, endswith and contains are for text"
    return ""


UNTIL_NOW = ("age_s", "since_s", "left_s", "empty_s")  # how fields end that grow while nothing is seen
NAMES = {"str": "text", "int": "a number", "float": "a number", "bool": "true or false"}
_NUMBERS = ("int", "float")


def settle_problems(condition: Condition, settle: Settle | None, fields: Names) -> list[tuple[Leaf, str]]:
    """Conclusions from what another feed did not say that are not settled on that feed."""
    kinds, found = kinds_of(condition), list[tuple[Leaf, str]]()
    for leaf in _downward(condition, is_negated=False):
        for name in leaf.reads():
            field = fields.get(name)
            if field is None or not field.feed or kinds == {field.feed}:
                continue
            if settle is None:
                message = (
                    f"concludes from what {field.feed} events do not say, so it must wait until they are "
                    f"complete: correlator: settle: {{feed: {field.feed}, at: place.site, grace: 2m}}"
                )
                found.append((leaf, message))
            elif settle.feed != field.feed:
                message = f"concludes from what {field.feed} events do not say, but settles on {settle.feed}"
                found.append((leaf, message))
    return found


def _downward(condition: Condition, *, is_negated: bool) -> list[Leaf]:
    """Leaves through which *condition* can hold because something was not seen."""
    match condition:
        case Not(arg):
            return _downward(arg, is_negated=not is_negated)
        case And(args) | Or(args):
            return [leaf for arg in args for leaf in _downward(arg, is_negated=is_negated)]
        case Leaf():
            is_age = any(map(_is_age, condition.reads()))
            found = any(_is_downward(test, is_age=is_age) for test in condition.tests)
            return [condition] if found or is_negated or condition.is_negated else []


def _is_age(name: str) -> bool:
    """Is it more, the longer nothing was seen?"""
    return name.endswith((*UNTIL_NOW, "elapsed_s"))


def _is_downward(test: Test, *, is_age: bool) -> bool:
    match test:
        case Compare(operator, _):
            return is_age or operator in {"lt", "lte"}
        case Refers(_, "lt" | "lte" | "gt" | "gte"):  # downward of the one or the other
            return True
        case Null() | Exists(False):
            return True
        case Same(value):
            return value is False or (not isinstance(value, bool) and value == 0)
        case Text():
            return any(text_matches(test, word) for word in _NOTHING)
        case Regex(pattern, flags):
            return any(searches(pattern, flags, word) for word in _NOTHING)
    return False
