"""Conditions of many rules as one generated function, for events of one kind or, better, of one shape.

    ask = compiled(conditions, "login").ask
    odd: list[int] = []
    ask(observation, odd)      # numbers of the conditions that hold, ascending

The answer is that of `interpret.holds` for each condition, and *odd* receives the number of a condition
as often as `holds` would report a value of an unexpected type. Where a generated function cannot be sure of
that, because one of the event's own values has another type than its field, it hands the event to the
interpreter.

What makes it fast: what the kind (or shape) decides is decided here; a field is read once; conditions that
share a cheap test share it (`_Function._together`), and many that differ in one text are found by it
(`_Function._by_text`); cheap tests come first. May not know: rules, windows, matches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, cast

from correlator.event import Event, Kind, Shape
from correlator.rules.emit import CHEAP, Emitter, equal_to
from correlator.rules.interpret import holds, leaf_holds
from correlator.rules.loads import GUARDED, HELPERS, NO_NETWORK, NO_PLACE, SHAPED
from correlator.rules.rule import And, Condition, Leaf, Not, Or, leaves
from correlator.timeline.live import Live
from correlator.timeline.observation import Observation
from correlator.timeline.settings import Settings

DISPATCH_MIN = 12  # conditions that demand one of several texts of a field, for a dictionary to pay
DISPATCH_TEXTS_MAX = 8  # that one condition may demand: its code is repeated for each
DEPTH_MAX = 40  # of conditions and of code; what is deeper is interpreted, or not shared further

FUNCTIONS_MAX = 1_000  # of a set of conditions, for its shapes; then one a kind must do

_LIVE, _SETTINGS = Live(), Settings()

Ask = Callable[[Observation, list[int]], list[int]]


class Compiled(NamedTuple):
    ask: Ask
    source: str


class _Wanted(NamedTuple):
    """Of condition *number*, all of *args* are still to be tested."""

    number: int
    args: tuple[Condition, ...]


def compiled(conditions: Sequence[Condition], kind: Kind) -> Compiled:
    """The function for events of *kind*; of others its answer means nothing."""
    function = _Function(Shape(kind), _decided_by(kind))
    return function.finished(_wanted(function, conditions), interpreted(conditions))


class ByShape:
    """Functions for events of one shape. Shapes that leave the same to be asked share one."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._conditions = conditions
        self._interpreted = interpreted(conditions)
        self._made: dict[tuple[Kind, tuple[_Wanted, ...]], Ask] = {}
        self._by_kind: dict[Kind, Ask] = {}

    def ask(self, shape: Shape) -> Ask | None:
        """The function for events of *shape*; None if no condition can hold of any."""
        function = _Function(shape, SHAPED | _decided_by(shape.kind))
        wanted = _wanted(function, self._conditions)
        if not wanted:
            return None
        key = (shape.kind, tuple(wanted))
        if key not in self._made:
            if len(self._made) >= FUNCTIONS_MAX:
                return self._of_kind(shape.kind)
            self._made[key] = function.finished(wanted, self._interpreted).ask
        return self._made[key]

    def _of_kind(self, kind: Kind) -> Ask:
        if kind not in self._by_kind:
            self._by_kind[kind] = compiled(self._conditions, kind).ask
        return self._by_kind[kind]


def interpreted(conditions: Sequence[Condition]) -> Ask:
    """The authority, in the form of a generated function."""
    numbered = list(enumerate(conditions))

    def ask(observation: Observation, odd: list[int]) -> list[int]:
        odd.clear()
        found = []
        for number, condition in numbered:
            mismatched: list[str] = []
            if holds(condition, observation, mismatched):
                found.append(number)
            odd.extend([number] * len(mismatched))
        return found

    return ask


def _decided_by(kind: Kind) -> frozenset[str]:
    """Fields that an event of *kind* has no value of, or always the same."""
    others = [name for name, load in GUARDED.items() if load.kind not in {None, kind}]
    return frozenset(["event.kind", *others])


def _wanted(function: _Function, conditions: Sequence[Condition]) -> list[_Wanted]:
    """What is left to be asked of each condition that can hold."""
    left = ((number, function.simplified(condition)) for number, condition in enumerate(conditions))
    return [_Wanted(number, args) for number, args in left if args is not None]


class _Function:
    """The source of one function while it is written."""

    def __init__(self, shape: Shape, decided: frozenset[str]) -> None:
        """*decided*: fields that are what they are of an event of *shape*, whatever else it says."""
        self._emitter = Emitter()
        self._lines: list[str] = []
        self._is_sorted = True
        self._known: dict[Condition, tuple[bool, int]] = {}
        self._any = Observation("", Event(0, "", shape), _LIVE, _SETTINGS, 0)  # stands for all of them
        self._decided = decided
        self._odd: set[Leaf] = set()  # decided, of a value of a type that it does not test: counted each time

    # ------------------------------------------------------------ before any event

    def simplified(self, condition: Condition) -> tuple[Condition, ...] | None:
        """What is left of *condition* for these events: conditions that all must hold, in an order that
        is as good. None: it never holds.
        """
        if _depth(condition) > DEPTH_MAX:
            return (condition,)
        left = self._without_decided(condition)
        if left is False:
            return None
        if left is True:
            return ()
        return left.args if isinstance(left, And) else (left,)

    def _without_decided(self, condition: Condition) -> Condition | bool:
        if isinstance(condition, Leaf):
            return self._decision(condition)
        if isinstance(condition, Not):
            arg = self._without_decided(condition.arg)
            return (not arg) if isinstance(arg, bool) else Not(arg)
        is_and, kept = isinstance(condition, And), list[Condition]()
        for arg in condition.args:
            left = self._without_decided(arg)
            if left is (not is_and):
                if all(self._is_steady(k) for k in kept):
                    return not is_and
                kept.append(arg)  # what comes before it is evaluated, and counted, all the same
                break
            if not isinstance(left, bool):
                kept += left.args if type(left) is type(condition) else (left,)
        if not kept:
            return is_and
        return kept[0] if len(kept) == 1 else And(tuple(kept)) if is_and else Or(tuple(kept))

    def _decision(self, leaf: Leaf) -> Condition | bool:
        if not self._decided.issuperset((leaf.field, *leaf.reads())):
            return leaf
        mismatched: list[str] = []
        result = leaf_holds(leaf, self._any, mismatched)
        if mismatched:
            self._odd.add(leaf)
        return leaf if mismatched else result

    def _is_steady(self, condition: Condition) -> bool:
        is_odd = not self._odd.isdisjoint(leaves(condition)) if self._odd else False
        return not is_odd and self._emitter.condition(condition, 0).is_steady

    # --------------------------------------------------------------------- writing

    def finished(self, wanted: list[_Wanted], interpreted: Ask) -> Compiled:
        self._all(wanted, 2)
        emitter, body = self._emitter, self._lines or ["        pass"]
        reads = ["    event, live = observation.event, observation.live", "    shape = event.shape"]
        sources = {field: self._source(field) for field in emitter.guarded}
        if any("place." in source for source in sources.values()):
            reads.append("    place = shape.place or NO_PLACE")
        if any("network." in source for source in sources.values()):
            reads.append("    network = shape.network or NO_NETWORK")
        if emitter.late:
            reads.append(f"    {' = '.join(emitter.late)} = ...")
        guards = [line for field, source in sources.items() for line in self._guard(field, source)]
        lines = [
            "def ask(observation, odd):",
            "    if observation.seen:",
            "        return interpreted(observation, odd)",
            *reads,
            "    found = []",
            "    hold = found.append",
            "    try:",
            *(f"        {line}" for line in guards),
            *body,
            "    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):",
            "        return interpreted(observation, odd)",
            *([] if self._is_sorted else ["    if len(found) > 1:", "        found.sort()"]),
            "    return found",
        ]
        source = "\n".join(lines)
        names = {
            "NO_PLACE": NO_PLACE,
            "NO_NETWORK": NO_NETWORK,
            "interpreted": interpreted,
            **HELPERS,
            **emitter.namespace,
        }
        exec(compile(source, "<rules>", "exec"), names)  # noqa: S102 (no word of it is a rule author's)
        return Compiled(cast(Ask, names["ask"]), source)

    def _source(self, field: str) -> str:
        """What a guarded field is read from; events of another kind than it belongs to do not have it."""
        load = GUARDED[field]
        if load.kind in {None, self._any.event.shape.kind}:
            return load.source
        return "''" if load.holds == "text" else "None"

    def _guard(self, field: str, source: str) -> Iterable[str]:
        """Lines that read a guarded field, and leave by an exception if its value is of another type."""
        name, written = self._emitter.guarded[field], self._emitter.as_written.get(field)
        holds = GUARDED[field].holds
        if holds == "text":
            return [f"{name} = ({written} := {source}).lower()" if written else f"{name} = {source}.lower()"]
        known = (
            f"{name} is True or {name} is False"
            if holds == "flag"
            else f"type({name}) is int or type({name}) is float"
        )
        return [f"{name} = {source}", f"if not ({known} or {name} is None):", "    raise TypeError"]

    def _line(self, depth: int, line: str) -> None:
        self._lines.append("    " * depth + line)

    def _all(self, wanted: Sequence[_Wanted], depth: int) -> None:
        """Code that finds which of *wanted* hold."""
        while wanted and depth < DEPTH_MAX:
            rest = self._by_text(wanted, depth)
            if rest is None:
                rest = self._together(wanted, depth)
            if rest is None:
                break
            wanted = rest
        for number, args in wanted:
            self._one(number, args, depth)

    def _one(self, number: int, args: tuple[Condition, ...], depth: int) -> None:
        if not args:
            self._line(depth, f"hold({number})")
            return
        condition = args[0] if len(args) == 1 else And(args)
        emit = self._emitter.interpreted if _depth(condition) > DEPTH_MAX else self._emitter.condition
        self._line(depth, f"if {emit(condition, number).source}:")
        self._line(depth + 1, f"hold({number})")

    # --------------------------------------------------------------------- sharing

    def _together(self, wanted: Sequence[_Wanted], depth: int) -> list[_Wanted] | None:
        """Code for those that share the commonest cheap test. The others; None if nothing is shared."""
        counts = Counter(arg for w in wanted for arg in self._first(w))
        shared, count = max(counts.items(), key=lambda item: item[1], default=(None, 0))
        if shared is None or count < 2:
            return None
        self._is_sorted = False
        sharing = [w for w in wanted if shared in self._first(w)]
        self._line(depth, f"if {self._emitter.condition(shared, 0).source}:")
        self._all([_without(w, shared) for w in sharing], depth + 1)
        numbers = {w.number for w in sharing}
        return [w for w in wanted if w.number not in numbers]

    def _by_text(self, wanted: Sequence[_Wanted], depth: int) -> list[_Wanted] | None:
        """Code for those that demand one of a few texts of one field, found by its text. The others; None if
        there are too few of them.
        """
        demands: dict[str, dict[int, tuple[Leaf, frozenset[str]]]] = {}
        for w in wanted:
            for arg in self._first(w):
                texts = equal_to(arg) if isinstance(arg, Leaf) else None
                if isinstance(arg, Leaf) and texts and len(texts) <= DISPATCH_TEXTS_MAX:
                    demands.setdefault(arg.field, {}).setdefault(w.number, (arg, texts))
        field = max(demands, key=lambda name: _spread(demands[name]), default="")
        if not field or _spread(demands[field]) < DISPATCH_MIN:
            return None
        self._is_sorted = False
        found: dict[str, list[_Wanted]] = {}
        for w in wanted:
            if w.number in demands[field]:
                leaf, texts = demands[field][w.number]
                for text in sorted(texts):
                    found.setdefault(text, []).append(_without(w, leaf))
        table = {text: place for place, text in enumerate(found, 1)}
        self._line(
            depth, f"t{depth} = {self._emitter.constant(table.get)}({self._emitter.variable(field)}, 0)"
        )
        self._line(depth, f"if t{depth}:")
        self._halves(list(found.values()), 1, f"t{depth}", depth + 1)
        return [w for w in wanted if w.number not in demands[field]]

    def _halves(self, groups: Sequence[Sequence[_Wanted]], first: int, name: str, depth: int) -> None:
        """Code that finds the group numbered *name*, of which *groups* are those from *first* on."""
        if len(groups) == 1:
            self._all(groups[0], depth)
            return
        half = len(groups) // 2
        self._line(depth, f"if {name} < {first + half}:")
        self._halves(groups[:half], first, name, depth + 1)
        self._line(depth, "else:")
        self._halves(groups[half:], first + half, name, depth + 1)

    def _first(self, wanted: _Wanted) -> list[Condition]:
        """The cheap tests of *wanted* that may be done before all others."""
        first = []
        for arg in wanted.args:
            is_steady, cost = self._traits(arg)
            if not is_steady:
                break
            if cost <= CHEAP:
                first.append(arg)
        return first

    def _traits(self, condition: Condition) -> tuple[bool, int]:
        known = self._known.get(condition)
        if known is None:
            if _depth(condition) > DEPTH_MAX:
                known = (False, 0)
            else:
                piece = Emitter().condition(condition, 0)
                known = (piece.is_steady, piece.cost)
            self._known[condition] = known
        return known


def _without(wanted: _Wanted, done: Condition) -> _Wanted:
    return _Wanted(wanted.number, tuple(arg for arg in wanted.args if arg != done))


def _spread(demands: dict[int, tuple[Leaf, frozenset[str]]]) -> float:
    """How many conditions a look at the field's text spares."""
    texts = Counter(text for _, found in demands.values() for text in found)
    return len(demands) - max(texts.values())


def _depth(condition: Condition) -> int:
    if isinstance(condition, Leaf):
        return 1
    args = (condition.arg,) if isinstance(condition, Not) else condition.args
    return 1 + max(map(_depth, args), default=0)
