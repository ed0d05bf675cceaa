"""A timeline as one HTML page: no scripts, nothing loaded from elsewhere, fit for a ticket or a printer."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

import msgspec

from correlator.alerts.phrases import local

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem;
       color: #1d2330; background: #fff }
h1 { font-size: 1.35rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; color: #465066 }
p.made { color: #67718a; margin: .2rem 0 0 }
table { border-collapse: collapse; width: 100% }
td { padding: .3rem .6rem; vertical-align: top; border-top: 1px solid #e6e9f0 }
th { text-align: left; font-weight: 500; font-size: .8rem; color: #67718a; padding: 0 .6rem }
th:last-child { text-align: right }
td.time { white-space: nowrap; font-variant-numeric: tabular-nums; color: #465066; width: 5.5rem }
td.here { width: 15rem; color: #17637a } td.score { width: 4rem; text-align: right; color: #67718a }
td.score.high { color: #9a5b00; font-weight: 600 }
small { color: #7a4a8f } tr.alert td { background: #fdf0ee } tr.alert.closed td { background: #f2f3f6; color: #67718a }
tr.alert strong { color: #a3200d } tr.alert.closed strong { color: #67718a } tr.alert p { margin: .3rem 0 0 }
.mark { font-size: .8rem; padding: .05rem .4rem; border-radius: .6rem; background: #a3200d; color: #fff }
.closed .mark { background: #67718a }
@media print { body { margin: 0; max-width: none } }
"""  # noqa: E501
_HEAD = "<tr><th>time</th><th>what happened</th><th>believed to be at</th><th>score</th></tr>\n"
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


def page(entity: str, lines: Sequence[Line], made: str) -> str:
    """The whole document. *made*: when, as text."""
    days = groupby(lines, key=lambda line: local(line.time_ms, line.offset_min)[:10])
    body = "".join(
        f"<h2>{day}</h2>\n<table>\n{_HEAD}{''.join(map(_row, some))}</table>\n" for day, some in days
    )
    alerts = len({line.uid for line in lines if line.kind == "alert"})
    said = f"{len(lines)} lines, {alerts} alerts. Times are local, with their offset. Made {escape(made)}."
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(entity)}</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(entity)}</h1>\n<p class=made>{said}</p>\n{body}</body></html>\n"
    )


def _row(line: Line) -> str:
    when = local(line.time_ms, line.offset_min)
    time = f"<td class=time title='{when}'>{when[11:19]}<br><small>{when[20:]}</small></td>"
    if line.kind == "alert":
        closed = " closed" if line.state.startswith("closed") else ""
        return (
            f'<tr class="alert{closed}">{time}<td colspan=3><span class=mark>{escape(line.severity)}</span> '
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
