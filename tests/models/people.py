"""Simulated people with habits: shifts, on-call nights, weekends, new doors, remote evenings."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Literal

import msgspec

from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, Event, Network, Place, make_event

MONDAY_MS = 1_790_553_600_000  # 2026-09-28 00:00 UTC
OFFICE = Network("office", "corporate", 64500)
HOME = Network("home-isp", "isp", 64501)

Shift = Literal["office", "rotating", "night"]


class Worker(msgspec.Struct, frozen=True):
    """One simulated person. Hours are of the local day."""

    id: str
    shift: Shift
    start: float  # usual beginning of the day
    spread: float  # standard deviation of it
    length: float
    doors: tuple[Place, ...]  # usual ones, the entrance first
    is_on_call: bool
    remote_share: float  # of days at home
    evening_share: float  # of days with a login late in the evening


def workers(count: int, random: Random) -> list[Worker]:
    """*count* people: 85 % office, 10 % rotating, 5 % night; one in eight of the office on call."""
    return [_worker(i, random) for i in range(count)]


def access(worker: Worker, time_ms: int, place: Place) -> Event:
    return make_event(
        time_ms,
        f"{worker.id}-{time_ms}-a",
        "access",
        identity_id=worker.id,
        place=place,
        outcome="granted",
        taken="taken",
        is_business_hours=None,
    )


def login(worker: Worker, time_ms: int, network: Network) -> Event:
    return make_event(
        time_ms,
        f"{worker.id}-{time_ms}-l",
        "login",
        identity_id=worker.id,
        outcome="success",
        is_interactive=True,
        network=network,
        device=f"laptop-{worker.id}",
    )


def day_of(worker: Worker, day: int, random: Random) -> Iterator[Event]:
    """What *worker* does on *day* (0 is a Monday); some days nothing. Not in order of time."""
    midnight = MONDAY_MS + day * DAY_MS
    is_weekend = day % 7 >= 5
    if worker.is_on_call and (day // 7 + int(worker.id[1:])) % 5 == 0 and random.random() < 0.3:
        yield from _night_call(worker, midnight, random)
    if worker.shift == "office" and is_weekend and random.random() > 0.02:
        return
    if worker.shift != "office" and (day + int(worker.id[1:])) % 7 >= 5:
        return
    if random.random() < 0.05:  # holiday, illness
        return
    start = worker.start
    if worker.shift == "rotating" and (day // 7) % 2:
        start = 14.0
    begin = midnight + int(random.gauss(start, worker.spread) * HOUR_MS)
    end = begin + int(random.gauss(worker.length, 0.7) * HOUR_MS)
    if worker.shift == "office" and random.random() < worker.remote_share:
        yield from _logins(worker, begin, end, HOME, random)
    else:
        yield from _on_site(worker, begin, end, random)
        yield from _logins(worker, begin, end, OFFICE, random)
    if random.random() < worker.evening_share:
        yield login(worker, midnight + int(random.gauss(21, 0.8) * HOUR_MS), HOME)


def zone(index: int) -> Place:
    """One of the zones of the company; every fourth is restricted."""
    return Place("lis", "hq", f"z{index}", f"d{index}", criticality=4 if index % 4 == 0 else 2)


def _worker(i: int, random: Random) -> Worker:
    shift: Shift = random.choices(("office", "rotating", "night"), (85, 10, 5))[0]
    start = {"office": random.gauss(8.6, 0.7), "rotating": 6.0, "night": 22.0}[shift]
    entrance = Place("lis", "hq", "lobby", f"e{random.randrange(4)}", criticality=1, is_perimeter=True)
    doors = (entrance, *[zone(index) for index in random.sample(range(40), random.randint(2, 6))])
    return Worker(
        f"p{i}",
        shift,
        start,
        random.uniform(0.2, 0.7) if shift == "office" else 0.15,
        8.8 if shift == "office" else 8.2,
        doors,
        is_on_call=shift == "office" and random.random() < 0.12,
        remote_share=random.choice((0.0, 0.1, 0.4)),
        evening_share=random.choice((0.0, 0.05, 0.3)),
    )


def _on_site(worker: Worker, begin: int, end: int, random: Random) -> Iterator[Event]:
    yield access(worker, begin, worker.doors[0])
    for _ in range(random.randint(3, 8)):
        place = zone(random.randrange(40)) if random.random() < 0.01 else random.choice(worker.doors)
        yield access(worker, random.randrange(begin, end), place)


def _logins(worker: Worker, begin: int, end: int, network: Network, random: Random) -> Iterator[Event]:
    yield login(worker, begin + 10 * MINUTE_MS, network)
    for _ in range(random.randint(1, 4)):
        yield login(worker, random.randrange(begin, end), network)


def _night_call(worker: Worker, midnight: int, random: Random) -> Iterator[Event]:
    at = midnight + int(random.uniform(0, 6) * HOUR_MS)
    yield login(worker, at, HOME)
    if random.random() < 0.4:
        yield access(worker, at + 40 * MINUTE_MS, worker.doors[0])
        yield access(worker, at + 45 * MINUTE_MS, random.choice(worker.doors))
