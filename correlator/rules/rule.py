"""What a rule is once it is loaded: our own small tree of conditions, and nothing of pySigma.

A condition is And, Or, Not over leaves; a leaf is one line of a Sigma detection: a field and what is asked
of it. The meaning of each is in `interpret`, the authority, and in docs/rules.md. Everything is frozen and
made of plain values, so a rule has a fingerprint that survives a change of layout, comments and
description.

May not know: YAML, pySigma, files. Durations in ms.
"""

from __future__ import annotations

from hashlib import blake2b
from math import ceil
from typing import Literal

import msgspec

from correlator.event import EntityKind, Kind
from correlator.rules.requires import Requires
from correlator.timeline.program import Budget

MANY = 0  # in `Text.parts`: any characters, also none
ONE = 1  # exactly one character
DASH = 2  # one of the five dashes of |windash
ENTRIES_MAX = 1_000  # what a window may hold for one entity and group

KEYWORDS = ""  # the field of a leaf that looks into every text of the event itself

Relation = Literal["equal", "starts", "ends", "contains", "lt", "lte", "gt", "gte"]
Operator = Literal["lt", "lte", "gt", "gte", "eq", "neq"]
Part = Literal["minute", "hour", "day", "week", "month", "year"]
CorrelationType = Literal[
    "event_count", "value_count", "value_sum", "value_avg", "temporal", "temporal_ordered"
]
Severity = Literal["informational", "low", "medium", "high", "critical"]


class Text(msgspec.Struct, frozen=True, tag=True):
    """The whole text, in which MANY, ONE and DASH stand for what they stand for."""

    parts: tuple[str | int, ...]
    is_cased: bool = False


class Same(msgspec.Struct, frozen=True, tag=True):
    """A number or a truth value. 1 is not true, and "1" is not 1. *is_truth* tells them apart where
    conditions are keys of dictionaries: to Python 1 equals true.
    """

    value: int | float | bool
    is_truth: bool = False


class Compare(msgspec.Struct, frozen=True, tag=True):
    operator: Literal["lt", "lte", "gt", "gte"]
    number: int | float


class Exists(msgspec.Struct, frozen=True, tag=True):
    is_present: bool


class Null(msgspec.Struct, frozen=True, tag=True):
    """The field is absent."""


class Regex(msgspec.Struct, frozen=True, tag=True):
    """RE2, searched anywhere in the text. Flags as in (?ims)."""

    pattern: str
    flags: str = ""


class Cidr(msgspec.Struct, frozen=True, tag=True):
    """An address within the network, IPv4 or IPv6."""

    network: str


class Refers(msgspec.Struct, frozen=True, tag=True):
    """The field equals (or starts with, is less than, …) the value of another field of the same event."""

    field: str
    relation: Relation = "equal"


class TimePart(msgspec.Struct, frozen=True, tag=True):
    """A part of a time in UTC: minute, hour, day of the month, ISO week, month, year."""

    part: Part
    operator: Literal["lt", "lte", "gt", "gte", "eq"]
    number: int


Test = Text | Same | Compare | Exists | Null | Regex | Cidr | Refers | TimePart


class Leaf(msgspec.Struct, frozen=True, tag=True):
    """Any (or all) of *tests* holds of *field*. Negated (`|neq`): the field is there and not so.

    With KEYWORDS as field each test may hold of another text of the event.
    """

    field: str
    tests: tuple[Test, ...]
    needs_all: bool = False
    is_negated: bool = False

    def reads(self) -> tuple[str, ...]:
        """Fields that are named; keywords name none."""
        named = () if self.field == KEYWORDS else (self.field,)
        return (*named, *(t.field for t in self.tests if isinstance(t, Refers)))


class And(msgspec.Struct, frozen=True, tag=True):
    args: tuple[Condition, ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    args: tuple[Condition, ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    arg: Condition


Condition = Leaf | And | Or | Not


class Base(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the rules that a correlation counts, with its group and value fields after aliases.

    Either *condition* or, where the rule is itself a correlation, *correlation* is there.
    """

    rule: str  # id
    condition: Condition | None
    group: tuple[str, ...]  # beyond the entity
    values: tuple[str, ...]  # of value_count, value_sum and value_avg, else ()
    correlation: Correlation | None = None


class Correlation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts events (values, rules) of *bases* over the trailing *timespan_ms*, both ends included.

    *clauses* say which bases a temporal correlation needs, in alternatives: of each, all its bases `i` must
    have happened, and of those written `~i` none. () where thresholds count the different bases.
    """

    type: CorrelationType
    bases: tuple[Base, ...]
    timespan_ms: int
    thresholds: tuple[tuple[Operator, int | float], ...]  # all must hold
    clauses: tuple[tuple[int, ...], ...] = ()

    @property
    def entries_max(self) -> int:
        """As many entries as decide every threshold, at least 1; of a sum as many as may be kept."""
        if self.type in {"value_sum", "value_avg"}:
            return ENTRIES_MAX
        return max(
            ceil(number) if operator in {"gte", "lt"} else int(number) + 1
            for operator, number in (*self.thresholds, ("gte", 1))
        )

    @property
    def denied(self) -> frozenset[int]:
        """Bases that must not have happened: the verdict waits for the end of the window."""
        return frozenset(~step for clause in self.clauses for step in clause if step < 0)


class Settle(msgspec.Struct, frozen=True):
    """Wait until feeds of kind *feed* are complete at the site named by *at* to event time + grace."""

    feed: Kind
    at: str
    grace_ms: int
    max_wait_ms: int
    fires_incomplete: bool = False


class SeverityBy(msgspec.Struct, frozen=True):
    """The level by the value of *field*; of a number the last that it reaches, they are in order."""

    field: str
    levels: tuple[tuple[str | int | float | bool, Severity], ...]


RawValue = str | int | float | bool | tuple[str | int | float | bool, ...] | None


class CaseEvent(msgspec.Struct, frozen=True):
    """An event of a test: field names to values. Offsets from the test's start, in ms.

    *raw*: what the source's own record said, by its names.
    """

    offset_ms: int
    arrives_ms: int
    fields: tuple[tuple[str, str | int | float | bool], ...]
    raw: tuple[tuple[str, RawValue], ...] = ()


class CaseMark(msgspec.Struct, frozen=True):
    """At *offset_ms* feeds of kind *feed* have delivered what happened at *site* to *complete_to_ms*."""

    offset_ms: int
    feed: Kind
    site: str
    complete_to_ms: int


class CaseCredential(msgspec.Struct, frozen=True):
    id: str
    credential_class: str
    states: tuple[tuple[int, str], ...]  # (offset, state)
    issued_ms: int | None = None  # None: long before


class CasePerson(msgspec.Struct, frozen=True):
    """What the identities feed says of the test's person. Times are offsets from the test's start, in ms."""

    identity_type: str = "employee"
    department: str = ""
    home_site: str = ""
    hired_ms: int | None = None
    statuses: tuple[tuple[int, str], ...] = ()
    credentials: tuple[CaseCredential, ...] = ()
    host: str = ""  # identity id of whoever answers for a visitor


class Case(msgspec.Struct, frozen=True):
    """A test of a rule, written as events."""

    name: str
    expects_match: bool
    expect_from_ms: int | None  # only alerts decided from here on count
    expect_at_ms: int | None  # the alerts as of this arrival time count
    start_ms: int
    events: tuple[CaseEvent, ...]
    marks: tuple[CaseMark, ...] | None  # None: at the end everything has been delivered
    person: CasePerson | None
    file: str = ""
    line: int = 0


class Written(msgspec.Struct, frozen=True):
    """Where a part of a condition was written, and how: for people, nothing is decided by it."""

    part: Condition
    text: str
    file: str
    line: int
    is_whole: bool = False  # what was found is not said beside it


class Rule(msgspec.Struct, frozen=True):
    """A rule, checked and with its references resolved. Either *condition* or *correlation* is there."""

    id: str
    name: str
    title: str
    entity: EntityKind
    severity: Severity
    condition: Condition | None = None
    correlation: Correlation | None = None
    settle: Settle | None = None
    severity_by: SeverityBy | None = None
    suppress_ms: int = 0
    may_retract: bool = True
    is_any_age: bool = False
    is_alerting: bool = True  # False: only counted by a correlation, or off
    is_shadow: bool = False  # its alerts go where it is tried out
    is_tried_out: bool = False  # nothing else rests on them
    budget: Budget | None = None
    entities_max: int = 0  # that are told of within an hour, of one partition; 0: as the settings say
    risk: int = 0
    requires: Requires | None = None
    evidence: tuple[str, ...] = ()  # fields that the explanation quotes
    description: str = ""
    status: str = ""
    tags: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    owner: str = ""
    references: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    lines: tuple[Written, ...] = ()  # leaves, as lines of a search
    searches: tuple[Written, ...] = ()  # searches by name, and whole conditions
    file: str = ""
    line: int = 0

    @property
    def fingerprint(self) -> str:
        """16 hex digits over what the rule does: state of its windows belongs to this, not to its place."""
        return fingerprint_of(self.id, self.entity, self.condition, self.correlation, self.settle)

    def conditions(self) -> tuple[Condition, ...]:
        """The conditions that are evaluated on an event."""
        if self.condition is not None:
            return (self.condition,)
        return tuple(b.condition for b in self.bases() if b.condition is not None)

    def bases(self) -> tuple[Base, ...]:
        """What the correlation counts, and what the correlations that it counts count."""
        return bases_of(self.correlation) if self.correlation else ()

    def reads(self) -> tuple[str, ...]:
        """Fields that decide whether the rule holds, in order of first use."""
        names = [name for c in self.conditions() for leaf in leaves(c) for name in leaf.reads()]
        names += [name for b in self.bases() for name in (*b.group, *b.values)]
        return tuple(dict.fromkeys(names))


def fingerprint_of(
    rule: str,
    entity: EntityKind,
    condition: Condition | None,
    correlation: Correlation | None,
    settle: Settle | None,
) -> str:
    """16 hex digits over what the rule with the id *rule* does."""
    does = (rule, entity, condition, correlation, settle)
    return blake2b(msgspec.json.encode(does), digest_size=8).hexdigest()


def bases_of(correlation: Correlation) -> tuple[Base, ...]:
    """Every base of *correlation*, nested ones after the one they belong to."""
    found: list[Base] = []
    for base in correlation.bases:
        found += [base, *(bases_of(base.correlation) if base.correlation else ())]
    return tuple(found)


def leaves(condition: Condition) -> list[Leaf]:
    """The leaves of *condition*, left to right."""
    if isinstance(condition, Leaf):
        return [condition]
    if isinstance(condition, Not):
        return leaves(condition.arg)
    return [leaf for arg in condition.args for leaf in leaves(arg)]
