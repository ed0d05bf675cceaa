"""`correlator timeline`: everything that is known of one person, door or unresolved credential, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from correlator.adapters.clock import SystemClock
from correlator.alerts.phrases import happened, iso, local
from correlator.alerts.told import Told, read_told
from correlator.cli.as_json import AsJson, as_text
from correlator.cli.asking import At, Config, Records, asking
from correlator.cli.failing import writing
from correlator.cli.screen import Screen, number_of
from correlator.cli.timeline_events import as_events
from correlator.cli.timeline_page import HIGH, Line, page
from correlator.cli.view import STYLES
from correlator.event import FOREVER, Event
from correlator.intake.places import Sites
from correlator.timeline.answers import Moment, moments
from correlator.timeline.presence import PRESENT_MIN

KINDS = ("identity:", "door:", "unresolved:", "zone:", "source:", "host:")

Who = Annotated[
    str,
    typer.Argument(metavar="IDENTITY", help="e1007, door:lis-main, zone:lis-lab, unresolved:badge:7."),
]
Html = Annotated[Path | None, typer.Option("--html", help="Write a page to this file.")]
Events = Annotated[
    Path | None,
    typer.Option("--events", help="Write the events as tests of rules have them."),
]


def timeline_command(
    who: Who,
    config: Config = None,
    records: Records = None,
    at: At = "",
    html: Html = None,
    events: Events = None,
    as_json: AsJson = False,
) -> None:
    """Show events, presence, scores and alerts of one IDENTITY in order of event time.

    Events come from the state (one horizon back, half of one with --records; late ones are in their places),
    alerts from their topic.
    Nothing is written there, and nobody who correlates notices.

    Exit codes: 0 done, 1 a file cannot be written or a record of the alert topic is none, 2 nothing is known
    of IDENTITY or the configuration is wrong, 3 Kafka cannot be reached.
    """
    entity = who if who.startswith(KINDS) else f"identity:{who}"
    with asking(config, records, at, is_of_before=True) as source:
        (partition,) = source.partitions(entity)
        until_ms = source.asked_ms(at, [partition]) if at else FOREVER
        if entity not in partition.timelines:
            raise typer.BadParameter(
                f"nothing is known of {entity}, or no longer{_meant(who, source.bundle.intake.sites)}"
            )
        found = [m for m in moments(partition, entity) if m.event.time_ms <= until_ms]
        told = [read_told(value) for value in source.alerts(entity)]
        person = partition.person(entity)
    first_ms = found[0].event.time_ms if found else 0
    alerts = [alert for alert in told if first_ms <= alert.first_ms <= until_ms]
    lines = sorted([*map(_moment, found), *map(_alert, alerts)], key=lambda line: line.time_ms)
    if html is not None:
        _write(html, page(entity, lines, iso(SystemClock().now_ms())))
    if events is not None:
        text = as_events(entity, [moment.event for moment in found], person)
        if not text:
            raise typer.BadParameter(
                f"no events of {entity} that a source reports are held by then: see --at"
            )
        _write(events, text)
    if as_json:
        typer.echo(as_text({"entity": entity, "lines": lines}))
    elif html is None and events is None:
        _print(entity, lines)
        if not found:
            newest = iso(max(alert.first_ms for alert in alerts)) if alerts else ""
            shows = f": --at {newest} shows those before it" if newest and records is not None else ""
            held = "one horizon back" if records is None else "half a horizon back of records"
            typer.echo(f"events are held {held}, and there is none{shows}", err=True)


def _meant(who: str, sites: Sites) -> str:
    """Names of alerts that are no identities: doors and zones, and what people hold."""
    for kind, known in (("door", sites.door), ("zone", sites.zone)):
        if known(who) is not None:
            return f": did you mean {kind}:{who}?"
    if who.startswith(KINDS):
        return ""
    return "; give the id of a person, as alerts do, or unresolved:badge:7 for what is nobody's"


def _moment(moment: Moment) -> Line:
    event = moment.event
    stays = tuple(
        f"{stay.site}{f' {stay.zone}' if stay.zone else ''} {sure:.0%}"
        for stay, sure in moment.stays
        if sure >= PRESENT_MIN
    )
    place = event.place
    return Line(
        event.time_ms,
        event.offset_min,
        event.kind,
        happened(event),
        (place.door or place.site or place.country) if place is not None else "",
        stays,
        event.score.percentile if event.score is not None and event.score.is_warm else None,
        event_id=event.id,
        notes=tuple(_notes(event)),
    )


def _notes(event: Event) -> Iterable[str]:
    if event.shape.occurrence == "late":
        yield "late"
    if event.time_claimed_ms is not None:
        yield f"claimed {local(event.time_claimed_ms, event.offset_min)}"
    if event.shape.skew_s:
        yield f"clock off by {event.shape.skew_s:+} s"


def _alert(told: Told) -> Line:
    return Line(
        told.first_ms,
        told.timezone_offset,
        "alert",
        told.message,
        told.place,
        severity=told.severity,
        state=told.state,
        detail=told.finding_info.desc,
        uid=told.finding_info.uid,
    )


def _print(entity: str, lines: Sequence[Line]) -> None:
    console, day = Screen(highlight=False, markup=False), ""
    console.print(f"{entity}: {number_of(len(lines), 'line')}", style="bold")
    for line in lines:
        when = line.when
        if (here := f"{line.day} {when[20:]}".strip()) != day:  # the offset, too: people travel
            day = here
            console.print(f"\n{day}", style="bold")
        console.print(_text(line, when), soft_wrap=True)


def _text(line: Line, when: str) -> Text:
    text = Text(f"{when[11:19]:8}  ")
    if line.kind == "alert":
        text.append(
            f"{line.severity.upper()} {line.state}  {line.text}", style=STYLES.get(line.severity, "bold")
        )
        return text.append(f"\n          {line.detail}", style="dim")
    text.append(line.text)
    if line.score is not None:
        text.append(f"  score {line.score:.0%}", style="yellow" if line.score >= HIGH else "dim")
    if line.presence:
        text.append(f"  believed at {', '.join(line.presence)}", style="cyan")
    if line.notes:
        text.append(f"  ({', '.join(line.notes)})", style="magenta")
    return text


def _write(path: Path, text: str) -> None:
    with writing(path):
        path.write_text(text, encoding="utf-8")
    typer.echo(f"{path} is written", err=True)
