"""The promise about order, with the rules that are shipped and the interpreter that evaluates them.

Any permutation within the horizon, any split into frames, duplicates, any interleaving of marks, saved and
loaded on the way: the open alerts are those of the definitions, applied to the sorted whole, and the
published sequence replays to exactly that set.
"""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from correlator.event import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    Credential,
    Event,
    Network,
    Person,
    Place,
    make_event,
)
from correlator.frame import Frame, SourceMark
from correlator.timeline.alert import Alert
from correlator.timeline.partition import Partition
from tests.promise import definitions
from tests.promise.examples import promised
from tests.promise.shipped import program
from tests.timeline.streams import arrivals
from tests.timeline.toy import NoScorer, hear, saved

START_MS = 20_000 * DAY_MS + 20 * HOUR_MS  # over midnight
END_MS = START_MS + 10 * HOUR_MS
SITES = {"lis": (38.72, -9.14), "opo": (41.15, -8.61), "nyc": (40.71, -74.0)}
WHO, DOOR = "identity:e1", "door:lis-1"


def people() -> st.SearchStrategy[Person]:
    """Versions of the one person, in any order."""
    return st.builds(
        lambda version, hired, gone, lost: Person(
            "e1",
            version,
            hired_ms=START_MS - hired * DAY_MS if hired else None,
            statuses=((0, "active"), (START_MS + gone * HOUR_MS, "terminated")),
            credentials=(Credential("c1", states=((START_MS + lost * HOUR_MS, "lost"),)), Credential("c2")),
        ),
        st.integers(2, 5),
        st.sampled_from([0, 3, 14, 400]),
        st.sampled_from([5, 100, 100]),
        st.sampled_from([3, 100, 100]),
    )


def place(random: Random) -> Place:
    site = random.choice(list(SITES))
    lat, lon = SITES[site]
    door = f"{site}-{random.randrange(4)}"
    return Place(site, door=door, lat=lat, lon=lon, radius_km=1.0, is_perimeter=random.random() < 0.3)


def access(random: Random, time_ms: int, name: str) -> Event:
    return make_event(
        time_ms,
        name,
        "access",
        identity_id="e1",
        credential=random.choice(["c1", "c2"]),
        outcome=(outcome := random.choice(["granted", "denied", "denied"])),
        reason="granted"
        if outcome == "granted"
        else random.choice(["no_access_rights", "factor_error", "expired"]),
        taken=random.choice(["taken", "unknown", "not_taken"]) if outcome == "granted" else "unknown",
        direction=random.choice(["in", "in", "out"]),
        place=place(random),
    )


def login(random: Random, time_ms: int, name: str) -> Event:
    return make_event(
        time_ms,
        name,
        "login",
        identity_id="e1",
        outcome=random.choice(["success", "success", "failure"]),
        logon_type=random.choice(["console", "unlock", "web", "remote_interactive"]),
        is_interactive=random.random() < 0.8,
        ip=random.choice(["", "192.0.2.1", "192.0.2.2"]),
        network=random.choice([None, Network("home", "isp"), Network("head", "corporate")]),
        place=place(random) if random.random() < 0.8 else None,
    )


def door(random: Random, time_ms: int, name: str) -> Event:
    lat, lon = SITES["lis"]
    where = Place("lis", door="lis-1", lat=lat, lon=lon)
    if random.random() < 0.2:
        return make_event(time_ms, name, "access", outcome=random.choice(["granted", "denied"]), place=where)
    activity = random.choice(["forced", "forced", "forced", "rex", "opened"])
    return make_event(time_ms, name, "door", activity=activity, place=where)


@st.composite
def mails(draw: st.DrawFn) -> list[tuple[str, Event]]:
    random = draw(st.randoms(use_true_random=False))
    grain_ms = draw(st.sampled_from([2 * SECOND_MS, MINUTE_MS, 7 * MINUTE_MS]))
    starts = [random.randrange(10 * 60) * MINUTE_MS for _ in range(draw(st.integers(1, 5)))]
    out = []
    for number in range(draw(st.integers(0, 60))):
        at_ms = random.choice(starts) + random.randrange(12) * grain_ms
        time_ms, name = (
            START_MS + min(at_ms, END_MS - START_MS),
            f"{random.randrange(1 << 30):08x}{number:08x}",
        )
        kind = random.choice([access, access, login, door])
        out.append((DOOR if kind is door else WHO, kind(random, time_ms, name)))
    return out


def marks(random: Random, now_ms: int) -> tuple[SourceMark, ...]:
    return tuple(
        SourceMark(
            f"{site}-c", "badge", site, "badge-events", 0, random.randint(START_MS, now_ms), 0, 1, now_ms - 1
        )
        for site in SITES
        if random.random() < 0.5
    )


def _version(change: tuple[int, Person]) -> int:
    return change[1].version


@st.composite
def tellings(draw: st.DrawFn) -> list[Event]:
    """What HR says of the person, at first and meanwhile."""
    changes = draw(st.lists(st.tuples(st.integers(0, 10 * 60), people()), max_size=3, unique_by=_version))
    rows = [(-60, replace(draw(people()), version=1)), *changes]
    return [
        make_event(START_MS + minute * MINUTE_MS, f"{number + 1:x}" * 16, "person", person=person)
        for number, (minute, person) in enumerate(rows)
    ]


@promised
@given(mails(), tellings(), st.randoms(use_true_random=False), st.integers(1, 8))
def test_open_alerts_are_those_of_the_definitions(
    mail: list[tuple[str, Event]], told: list[Event], random: Random, count: int
) -> None:
    sent = [*((WHO, event) for event in told), *mail, *random.sample(mail, len(mail) // 3)]
    random.shuffle(sent)
    frames = [Frame("", tuple(sent[i::count]), arrivals(END_MS), marks(random, END_MS)) for i in range(count)]
    everybody = tuple(
        SourceMark(f"{site}-c", "badge", site, "badge-events", 0, END_MS, 0, 1, END_MS) for site in SITES
    )
    frames.append(Frame("", (), arrivals(END_MS + HOUR_MS), everybody))
    partition, held = Partition(program(), NoScorer(), 0), dict[str, Alert]()
    for frame in frames:
        hear(held, partition.step(frame))
        if random.random() < 0.3:
            partition = saved(partition, program())
    identity = sorted((e for key, e in mail if key == WHO), key=lambda e: e.order)
    doors = sorted((e for key, e in mail if key == DOOR), key=lambda e: e.order)
    wanted = definitions.episodes(WHO, definitions.of_identity(identity, told))
    wanted |= definitions.episodes(DOOR, definitions.of_door(doors))
    got = {(a.uid, a.rule, a.entity, frozenset(a.evidence)) for a in held.values()}
    never = {r.id for r in program().rules.values() if not r.may_retract}
    assert {a for a in got if a[1] not in never} == {a for a in wanted if a[1] not in never}
    assert got >= wanted, "what must not be retracted may outlive its reason, but is never missing"
    assert {u: a for t in partition.timelines.values() for u, a in t.open.items()} == held
