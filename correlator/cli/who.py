"""`correlator who`: who was in a zone, or at a site, at a time."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from correlator.alerts.phrases import happened, iso, local
from correlator.cli.as_json import AsJson, as_text
from correlator.cli.asking import At, Config, Records, asking
from correlator.cli.screen import wide_console
from correlator.intake.places import Sites
from correlator.spelling import nearest
from correlator.timeline.answers import Present, present
from correlator.timeline.presence import PRESENT_MIN

HEADS = ("who", "type", "host", "zone", "since", "confidence", "newest evidence")
NARROW = 90  # columns: a table would be a word wide

Where = Annotated[str, typer.Argument(metavar="ZONE", help="A zone or a site of sites.yml.")]
Least = Annotated[
    float, typer.Option(min=0, max=1, help="List who is believed to be there by more than this.")
]


def who_command(
    where: Where,
    config: Config = None,
    records: Records = None,
    at: At = "",
    least: Least = PRESENT_MIN,
    as_json: AsJson = False,
) -> None:
    """Say who was in ZONE at a time, how surely, and by which evidence.

    The state is read from the newest checkpoints and what came since; nothing is written, and nobody who
    correlates notices. Events that came late are in their places. It reaches back one horizon.

    Exit codes: 0 done, also when nobody was there, 2 the zone or the time is not known, nothing has arrived
    yet or the configuration is wrong, 3 Kafka cannot be reached.
    """
    with asking(config, records, at) as source:
        sites = source.bundle.intake.sites
        site, zone = _place(sites, where)
        partitions = list(source.partitions(None))
        at_ms = source.asked_ms(at, partitions)
        found = [one for p in partitions for one in present(p, at_ms, site=site, zone=zone, least=least)]
    found.sort(key=lambda one: (-one.confidence, one.entity))
    offset_min = sites.offset_min(site, at_ms)
    if as_json:
        typer.echo(
            as_text(
                {
                    "where": where,
                    "at": iso(at_ms, offset_min),
                    "present": [_document(one, zone) for one in found],
                }
            )
        )
        return
    title = f"{where}: {len(found)} believed present at {local(at_ms, offset_min)}"
    console, rows = wide_console(), [_row(one, zone, at_ms, offset_min) for one in found]
    if console.width < NARROW:
        console.print(title, style="bold")
        for row in rows:
            *facts, newest = (text for text in row if text not in ("", "-"))
            console.print(f"{'  '.join(facts)}\n    {newest}", highlight=False)
        return
    table = Table(title=title, title_justify="left")
    for head in HEADS:
        table.add_column(head, justify="right" if head == "confidence" else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _place(sites: Sites, name: str) -> tuple[str, str]:
    """(site, zone) that *name* stands for; zone "": all of the site."""
    if sites.site(name) is not None:
        return name, ""
    place = sites.zone(name)
    if place is None:
        known = sites.names()
        meant = nearest(name, [*known["site"], *known["zone"]])
        raise typer.BadParameter(f"sites.yml has no site or zone {name!r}{meant}")
    return place.site, place.zone


def _since_ms(one: Present, zone: str) -> int:
    """When the zone that was asked for was entered; else since when the person is at the site."""
    return one.stay.zone_ms if zone else one.stay.since_ms


def _row(one: Present, zone: str, at_ms: int, offset_min: int) -> tuple[str, ...]:
    person, newest, said = one.person, one.newest, "-"
    if newest is not None:
        when = local(newest.time_ms, offset_min)[:19]
        is_same_day = when[:10] == local(at_ms, offset_min)[:10]
        said = f"{when[11:] if is_same_day else when} {happened(newest)}"
    return (
        one.entity.partition(":")[2],
        person.identity_type if person is not None else "?",
        person.host_id if person is not None else "",
        one.stay.zone or "-",
        local(_since_ms(one, zone), offset_min)[:19],
        f"{one.confidence:.0%}",
        said,
    )


def _document(one: Present, zone: str) -> object:
    person, newest = one.person, one.newest
    return {
        "entity": one.entity,
        "type": person.identity_type if person is not None else None,
        "host": person.host_id if person is not None else None,
        "zone": one.stay.zone or None,
        "since": iso(_since_ms(one, zone)),
        "confidence": round(one.confidence, 3),
        "evidence": list(one.stay.evidence),
        "newest": None if newest is None else {"time": iso(newest.time_ms), "what": happened(newest)},
    }
