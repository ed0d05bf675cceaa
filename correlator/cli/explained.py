"""An explanation on a terminal: what came of the event first, then a tree of what was asked.

A line that is to blame for a miss is marked with an arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from correlator.alerts.phrases import happened
from correlator.rules.counted import Counted, CountedEvent
from correlator.rules.examine import Line, Node, Part, culprits, found_text
from correlator.rules.explain import Explanation
from correlator.rules.look import Look

When = Callable[[int], str]

EVENTS_MAX = 30  # of a window that are listed

_STATES = {
    "no match": ("no match", "bold red"),
    "alert": ("alert", "bold green"),
    "repeat": ("match, a repeat", "bold green"),
    "waiting": ("match, not told yet", "bold yellow"),
    "inconclusive": ("inconclusive", "bold yellow"),
    "final": ("match", "bold green"),
}


def show(explanation: Explanation, head: Iterable[str], when: When, console: Console) -> None:
    """Print *explanation* under the lines of *head*, the first of which is its title."""
    title, *rest = head
    console.print(Text(f"{title}: ", "bold") + Text(*_STATES[explanation.state]))
    for line in (*rest, *explanation.said):
        console.print(Text(line))
    for look in explanation.looks:
        _Shown(explanation, when, console).look(look)


class _Shown:
    """Events of one explanation."""

    def __init__(self, explanation: Explanation, when: When, console: Console) -> None:
        self._explanation, self._when, self._console = explanation, when, console

    def look(self, look: Look) -> None:
        event, asked = look.event, self._explanation.asked
        place = f"event {look.number} of {asked}, {self._when(event.time_ms)}, on {look.entity}"
        self._console.print()
        for sentence in look.said:
            style = "red" if look.state == "no match" else ""
            self._console.print(Text(f"→ {sentence}", style))
        tree = Tree(Text(f"{place}: {happened(event)}"), guide_style="dim")
        for part in look.examined:
            _add(tree, part.tree, {id(line) for line, _ in culprits(part.tree)}, f"{part.asked}: ")
        for window in look.counted:
            self._window(tree, window)
        for window in look.others:
            group = f"another group, {_group(window)}" if window.group else window.rule
            tree.add(Text(f"{group}: {window.reached}"))
        self._uncounted(tree, look.uncounted)
        self._console.print(tree)

    def _window(self, tree: Tree, window: Counted) -> None:
        of = f"; {_group(window)}" if window.group else ""
        branch = tree.add(Text(f"{window.rule}: {window.reached}{of}"))
        for one in window.outside:
            branch.add(Text(f"✗ {self._event(one)}", "dim"))
        if len(window.events) > EVENTS_MAX:
            branch.add(Text(f"{len(window.events) - EVENTS_MAX} events before"))
        for one in window.events[-EVENTS_MAX:]:
            branch.add(Text.assemble(("✓ ", "green"), self._event(one)))
        for sentence in window.absent:
            branch.add(Text.assemble(("✓ ", "green"), sentence))
        for sentence in window.missing:
            branch.add(Text.assemble(("✗ ", "red"), sentence))

    def _event(self, one: CountedEvent) -> str:
        event = self._explanation.events.get(one.event_id)
        what = happened(event) if event is not None else one.event_id
        return f"{self._when(one.time_ms)}  {what}" + (f"  ({one.what})" if one.what else "")

    def _uncounted(self, tree: Tree, events: Iterable[CountedEvent]) -> None:
        """Events that were left out, those with the same reason together."""
        reasons: dict[str, list[str]] = {}
        for one in events:
            reasons.setdefault(one.what, []).append(self._when(one.time_ms))
        for reason, times in reasons.items():
            tree.add(Text(f"not counted, {', '.join(times)}: {reason}", "dim"))


def _group(window: Counted) -> str:
    return ", ".join(f"{name} {value}" for name, value in window.group)


def _add(tree: Tree, node: Node, blamed: set[int], before: str = "", inside: str = "") -> None:
    """*node* below *tree*, inside a part of the sort *inside*. A part that has neither a name nor a choice to
    tell adds no level of its own.
    """
    if isinstance(node, Line):
        tree.add(_line(node, before, is_blamed=id(node) in blamed))
        return
    name, inner = _named(node)
    needs_level = before or name or (inner.how != inside and len(inner.parts) > 1)
    branch = tree
    if needs_level:
        several = f"({inner.how} of)" if inner.how == "any" or (inner.how == "all" and not name) else ""
        head = " ".join(filter(None, [before.strip(), name, several]))
        branch = tree.add(_marked(node.holds, head))
    for part in inner.parts:
        _add(branch, part, blamed, "", inner.how)


def _named(node: Part) -> tuple[str, Part]:
    """What stands at the head of *node*, and the part whose parts stand below it."""
    if node.how != "not":
        return node.name, node
    (inner,) = node.parts
    if isinstance(inner, Line):
        return node.name or "not", node
    name, below = _named(inner)
    return node.name or f"not {name}".strip(), below


def _marked(is_held: bool, text: str) -> Text:
    return Text.assemble(("✓ ", "green") if is_held else ("✗ ", "red"), text)


def _line(line: Line, before: str, *, is_blamed: bool) -> Text:
    text = _marked(line.holds, f"{before}{line.text}")
    if line.field:
        text.append(f"   {found_text(line.found)}", "bold" if is_blamed else "")
    if line.note:
        text.append(f", {line.note}" if line.field else f"   {line.note}")
    if is_blamed:
        text.append("  ◄", "bold red")
    return text
