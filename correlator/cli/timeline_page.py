"""A timeline as one HTML page: no scripts, nothing loaded from elsewhere, fit for a ticket or a printer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from itertools import groupby

import msgspec

from correlator.alerts.phrases import local

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --paper: #fff; --faint: #5d6780; --line: #e6e9f0; --here: #17637a;
        --note: #7a4a8f; --odd: #9a5b00; --bad: #a3200d; --worse: #fdf0ee; --past: #f2f3f6 }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #dfe3ec; --paper: #14171e; --faint: #98a2b8; --line: #2b3140; --here: #6fc3dc; --note: #c79bdd;
          --odd: #e5a83f; --bad: #ff8b7b; --worse: #2c1b1b; --past: #1e222c } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem;
       color: var(--ink); background: var(--paper); overflow-wrap: anywhere }
h1 { font-size: 1.35rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; color: var(--faint) }
p.made { color: var(--faint); margin: .2rem 0 0 } nav ul { list-style: none; padding: 0; margin: 0 }
nav a { color: var(--bad) } nav a.closed { color: var(--faint) }
table { border-collapse: collapse; width: 100%; table-layout: fixed }
td { padding: .3rem .6rem; vertical-align: top; border-top: 1px solid var(--line) }
th { text-align: left; font-weight: 500; font-size: .8rem; color: var(--faint); padding: 0 .6rem }
th.time { width: 5rem } th.here { width: 11rem } th.score { width: 3rem; text-align: right }
td.time { white-space: nowrap; font-variant-numeric: tabular-nums; color: var(--faint) }
td.here { color: var(--here) } td.score { text-align: right; color: var(--faint) }
td.score.high { color: var(--odd); font-weight: 600 }
small { color: var(--note) } tr.alert td { background: var(--worse) } tr.alert strong { color: var(--bad) }
tr.alert.closed td { background: var(--past); color: var(--faint) } tr.alert.closed strong { color: var(--faint) }
tr.alert p { margin: .3rem 0 0 } tr:target td { outline: 2px solid var(--bad) }
.mark { font-size: .8rem; padding: .05rem .4rem; border-radius: .6rem; background: #a3200d; color: #fff }
.medium, .low, .informational { background: #8a5200 } .closed .mark { background: #5d6780 }
@media (max-width: 40rem) { th.here { width: 6rem } td, th { padding-left: .2rem; padding-right: .2rem } }
@media print { body { margin: 0; max-width: none } tr { break-inside: avoid } h2 { break-after: avoid } }
"""  # noqa: E501
_HEAD = (
    "<thead><tr><th scope=col class=time>time</th><th scope=col>what happened</th>"
    "<th scope=col class=here>believed to be at</th><th scope=col class=score>score</th></tr></thead>\n"
)
BEFORE = "known before"
HIGH = 0.97  # percentile from which on a score stands out


class Line(msgspec.Struct, frozen=True):
    """An event with what was believed after it, or a change of an alert. Times in ms, UTC."""

    time_ms: int
    offset_min: int
    kind: str  # access | login | door | person | alert
    text: str
    place: str = ""
    presence: tuple[str, ...] = ()  # `lisbon lis-office 95 %`, the likeliest first
    score: float | None = None  # percentile
    severity: str = ""  # of an alert
    state: str = ""  # of an alert: new, updated, closed (retracted)
    detail: str = ""  # of an alert: the paragraph that explains it
    event_id: str = ""
    uid: str = ""  # of an alert
    notes: tuple[str, ...] = ()

    @property
    def when(self) -> str:
        """Local time and offset; "" of what is known from the start, as the people of a directory are."""
        return local(self.time_ms, self.offset_min) if self.time_ms >= 0 else ""

    @property
    def day(self) -> str:
        return self.when[:10] or BEFORE


def page(entity: str, lines: Sequence[Line], made: str) -> str:
    """The whole document. *made*: when, as text."""
    days = groupby(enumerate(lines), key=lambda numbered: numbered[1].day)
    body = "".join(
        f"<h2>{day}</h2>\n<table>\n{_HEAD}{''.join(_row(*numbered) for numbered in some)}</table>\n"
        for day, some in days
    )
    newest = {line.uid: number for number, line in enumerate(lines) if line.kind == "alert"}
    said = (
        f"{len(lines)} lines, {len(newest)} alerts. Times are local, with their offset. Made {escape(made)}."
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(entity)}</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(entity)}</h1>\n<p class=made>{said}</p>\n"
        f"{_contents(lines, newest.values())}{body}</body></html>\n"
    )


def _contents(lines: Sequence[Line], alerts: Collection[int]) -> str:
    """A link to each alert as it stands now: a day of a thousand events is not read to find three."""
    if not alerts:
        return ""
    links = (
        f"<li><a{' class=closed' if _is_closed(lines[n]) else ''} href='#line-{n}'>"
        f"{local(lines[n].time_ms, lines[n].offset_min)} {escape(lines[n].severity)} "
        f"{escape(lines[n].text)}</a></li>\n"
        for n in alerts
    )
    return f"<nav aria-label=alerts><h2>Alerts</h2>\n<ul>\n{''.join(links)}</ul></nav>\n"


def _is_closed(line: Line) -> bool:
    return line.state.startswith("closed")


def _row(number: int, line: Line) -> str:
    when = line.when
    time = f"<td class=time title='{when}'>{when[11:19]}<br><small>{when[20:]}</small></td>"
    if line.kind == "alert":
        closed = " closed" if _is_closed(line) else ""
        return (
            f'<tr class="alert{closed}" id="line-{number}">{time}<td colspan=3>'
            f'<span class="mark {escape(line.severity.lower())}">{escape(line.severity)}</span> '
            f"<strong>{escape(line.text)}</strong> {escape(line.state)}"
            f"<p>{escape(line.detail)}</p></td></tr>\n"
        )
    notes = f" <small>{escape(', '.join(line.notes))}</small>" if line.notes else ""
    high = " high" if line.score is not None and line.score >= HIGH else ""
    score = "" if line.score is None else f"{line.score:.0%}"
    here = "<br>".join(map(escape, line.presence))
    return (
        f"<tr>{time}<td>{escape(line.text)}{notes}</td><td class=here>{here}</td>"
        f'<td class="score{high}">{score}</td></tr>\n'
    )
