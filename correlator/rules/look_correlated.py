"""What a correlation made of one event: the rules that it counts, and the windows that the event entered."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from correlator.rules.absent import why_absent
from correlator.rules.check import kinds_of
from correlator.rules.correlate import Plan, plan_of, plans_in
from correlator.rules.counted import Counted, CountedEvent, Counting, Entered
from correlator.rules.examine import blame, examine, texts_of
from correlator.rules.look import ASKED_AGAIN, FAR, Examined, Look, Story, distance, examined
from correlator.rules.rule import Rule
from correlator.rules.watched import Seen
from correlator.rules.windows import typed
from correlator.timeline.fields import value
from correlator.timeline.observation import Observation

UNCOUNTED_MAX = 5  # events that were left out that are named
OTHERS_MAX = 5  # other groups that are named


class Correlated:
    """One correlation, and the events of *story*."""

    def __init__(self, story: Story) -> None:
        self._story = story
        names = {rule.id: rule.name for rule in story.rules.values()}
        self._plan = plan_of(story.rule)
        self._own, *self._nested = (
            Counting(names.get(rule, rule), plan, story.asked, names, story.when)
            for rule, plan in _plans(story.rule.id, self._plan)
        )
        self._bases = self._rules_of(self._plan)
        if not self._bases:  # it counts correlations only: what these count is what can be told
            found = [rule for plan in plans_in(self._plan) for rule in self._rules_of(plan)]
            self._bases = list({rule.id: rule for rule in found}.values())  # two may count the same

    def _rules_of(self, plan: Plan) -> list[Rule]:
        """The detection rules that *plan* counts."""
        return [self._story.rules[base.rule] for _, base, nested in plan.bases if nested is None]

    def nearness(self, seen: Seen) -> float:
        """How near *seen* came to a match: less is nearer, 0 is one."""
        settled = self._story.settled(seen)
        if seen.found.matches or (settled is not None and settled.match is not None):
            return 0
        if settled is not None:
            return ASKED_AGAIN
        windows = [self._own.off(one) for one in self._entered(seen)]
        if windows:
            return 1 + min(windows)
        return FAR + min((distance(base, seen.observation) for base in self._bases), default=FAR)

    def look(self, seen: Seen, blank: Look) -> Look:
        """*blank* with what the correlation made of *seen*."""
        story = self._story
        windows = self._windows(seen)
        inner = tuple(self._inner(seen))
        shown = replace(
            blank,
            examined=tuple(self._examined(seen)),
            counted=(*windows, *inner),
            others=self._others(seen),
            uncounted=self._uncounted(seen),
        )
        settled = story.settled(seen)
        if seen.found.matches:
            return story.matched(shown, seen.found.matches[0])
        if settled is not None:
            closing = self._own.closing(settled)
            shown = replace(shown, said=closing.missing, counted=(closing, *inner))
            return story.matched(shown, settled.match) if settled.match is not None else shown
        return replace(shown, said=tuple(self._progress(seen, windows, inner)))

    def _windows(self, seen: Seen) -> tuple[Counted, ...]:
        """The windows that the event entered, each once: it may be two steps of one."""
        windows = [self._own.window(one) for one in self._entered(seen)]
        return tuple(window for at, window in enumerate(windows) if window not in windows[:at])

    def _inner(self, seen: Seen) -> Iterator[Counted]:
        """Of the correlations that are counted the windows that the event entered, else the one that got
        furthest, where that was not far enough.
        """
        for counting in self._nested:
            entered = [one for one in counting.of_event(seen) if one.is_counted]
            yield from map(counting.window, entered)
            furthest = None if entered else counting.furthest(seen)
            if furthest is not None and furthest.off:
                yield furthest

    def _entered(self, seen: Seen) -> list[Entered]:
        return [one for one in self._own.of_event(seen) if one.is_counted]

    def _examined(self, seen: Seen) -> Iterator[Examined]:
        """The counted rules that can hold of the event's kind; of an event that is counted those that do: of
        the others nobody asks.
        """
        observation, is_counted = seen.observation, bool(self._own.of_event(seen)) or self._is_nested(seen)
        for base in self._bases:
            if base.condition is not None and observation.event.kind in kinds_of(base.condition):
                found = examined(f"the counted rule {base.name}", base, observation)
                if found.tree.holds or not is_counted:
                    yield found

    def _progress(
        self, seen: Seen, windows: tuple[Counted, ...], inner: tuple[Counted, ...]
    ) -> Iterator[str]:
        """Why the event completed nothing."""
        observation, own = seen.observation, self._own.of_event(seen)
        if any(self._own.off(one) == 0 for one in own if one.is_counted):
            yield from self._story.unmet(observation)
        for window in windows:
            yield window.reached
            yield from window.missing
        yield from (f"{window.rule}: {window.reached}" for window in inner if window.off)
        if not own:
            again = ", as it was before: a counted correlation counts where it becomes true"
            yield from (f"{window.rule}: {window.reached}{again}" for window in inner if not window.off)
        for one in (*own, *(one for counting in self._nested for one in counting.of_event(seen))):
            whys = [f"{name} is absent, {why_absent(observation, name)}" for name in one.absent]
            if one.odd:
                whys.append(f"{one.odd} is {value(observation, one.odd)}, no number")
            if why := "; ".join(whys):
                yield f"{self._own.name_of(one.base)} holds, but is not counted: {why}"
        if not own and self._bases and not self._is_nested(seen):
            name, why = self._nearest(observation)
            yield f"it is not counted, for it is not {name}: {why}"
        settle, denied = self._story.rule.settle, self._plan.correlation.denied
        if settle is not None and self._plan.waits and any(one.at not in denied for one in own):
            yield f"no window begins: {settle.at} is absent, {why_absent(observation, settle.at)}"

    def _is_nested(self, seen: Seen) -> bool:
        """Does a correlation count the event that is counted itself?"""
        return any(counting.of_event(seen) for counting in self._nested)

    def _nearest(self, observation: Observation) -> tuple[str, str]:
        """Name of the counted rule that the event is nearest to, and why it is not."""
        base = min(self._bases, key=lambda rule: distance(rule, observation))
        assert base.condition is not None
        return base.name, "; ".join(blame(examine(base.condition, observation, texts_of(base))))

    def _others(self, seen: Seen) -> tuple[Counted, ...]:
        """Windows of other groups of the same entity, each where it got furthest."""
        own = {typed(one.group) for one in self._entered(seen)}
        best: dict[object, tuple[float, Entered]] = {}
        for one in self._own.entered:
            key = typed(one.group)
            if not one.is_counted or key in own or one.entity != seen.observation.entity:
                continue
            off = self._own.off(one)
            if key not in best or off < best[key][0]:
                best[key] = (off, one)
        nearest = sorted(best.values(), key=lambda row: row[0])
        return tuple(self._own.window(one) for _, one in nearest[:OTHERS_MAX])

    def _uncounted(self, seen: Seen) -> tuple[CountedEvent, ...]:
        """Events of the same entity that came nearest to being counted."""
        possible = {kind for base in self._bases if base.condition for kind in kinds_of(base.condition)}
        left: list[tuple[float, Observation]] = []
        for other in self._story.asked:
            observation = other.observation
            if (
                observation.event.id != seen.observation.event.id
                and observation.entity == seen.observation.entity
                and observation.event.kind in possible
                and not self._own.of_event(other)
                and not self._is_nested(other)
            ):
                left.append((min(distance(base, observation) for base in self._bases), observation))
        left.sort(key=lambda row: row[0])
        said = []
        for _, observation in left[:UNCOUNTED_MAX]:
            name, why = self._nearest(observation)
            what = f"not {name}: {why}"
            said.append(CountedEvent(observation.event.id, observation.event.time_ms, what))
        return tuple(sorted(said, key=lambda event: event.time_ms))


def _plans(rule: str, plan: Plan) -> Iterator[tuple[str, Plan]]:
    """*plan*, of the rule with the id *rule*, and the plans of the correlations that it counts."""
    yield rule, plan
    for _, base, nested in plan.bases:
        if nested is not None:
            yield from _plans(base.rule, nested)
