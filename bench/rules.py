"""What rules cost an event: generated functions against the interpreter and a tree of closures.

Half of the events are reads, half logins. Of 40 rules 24 are on logins, 14 on reads and 2 on both; 1,000 are
the same 40 shapes with other values, most of them for one door, zone, application or address range. All ways
of evaluation are asked about the kind's own rules only, and must agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from operator import ge, gt, le, lt
from random import Random
from statistics import median
from time import process_time, process_time_ns

from bench.measure import own_collector
from bench.report import Report
from bench.workload import Shape
from correlator.event import HOUR_MS, MINUTE_MS, Event, Kind, Network, Person, Place, make_event
from correlator.rules.check import kinds_of
from correlator.rules.compile import compiled
from correlator.rules.interpret import holds
from correlator.rules.rule import (
    MANY,
    And,
    Cidr,
    Compare,
    Condition,
    Exists,
    Leaf,
    Not,
    Null,
    Or,
    Regex,
    Same,
    Test,
    Text,
)
from correlator.timeline.fields import FIELDS
from correlator.timeline.live import Live, Stay
from correlator.timeline.observation import Observation
from correlator.timeline.settings import Settings

EVENTS = 4_000
BATCH = 40  # events made, then evaluated: the engine too has just decoded what it evaluates
KINDS: tuple[Kind, ...] = ("access", "login")
SETTINGS = Settings()
SITES = [
    Place(f"s{n}", f"b{n}", f"z{n}", f"d{n}", f"d{n}-in", n % 5 + 1, 38.0 + n, -9.0 + n) for n in range(20)
]
Asks = dict[Kind, Callable[[Observation], list[int]]]


# ---------------------------------------------------------------------- events


def observations(seed: int = 1, count: int = EVENTS) -> list[Observation]:
    """Fresh ones: context that was computed is remembered by its observation."""
    random = Random(seed)
    return [_observation(random, number) for number in range(count)]


def _observation(random: Random, number: int) -> Observation:
    person, time_ms, place = (
        f"e{random.randrange(500)}",
        1_780_000_000_000 + number * 1_000,
        random.choice(SITES),
    )
    event = _read(random, number, time_ms, place) if number % 2 else _login(random, number, time_ms, place)
    before = make_event(time_ms - HOUR_MS, "before", "access", place=random.choice(SITES), outcome="granted")
    since_ms, newest_ms, later_ms = time_ms - HOUR_MS, time_ms - 50 * MINUTE_MS, time_ms + HOUR_MS
    here = Stay(
        place.site, place.zone, since_ms, since_ms, newest_ms, 0.9, later_ms, later_ms, ("before", "before")
    )
    places, known = (before,), Person(person, 1, department="it", home_site="s1")
    live = Live(before, before, places, places, places, (here,), known)
    return Observation(f"identity:{person}", event, live, SETTINGS, time_ms, {}, {})


def _read(random: Random, number: int, time_ms: int, place: Place) -> Event:
    is_denied = random.random() < 0.05
    outcome, reason = ("denied", "no_access_rights") if is_denied else ("granted", "")
    taken = "not_taken" if is_denied else "taken"
    return make_event(
        time_ms, f"b{number}", "access", "ctl-1", "badge", identity_id="e1", credential=f"{number:07}",
        place=place, outcome=outcome, reason=reason, reason_native="text of a panel", taken=taken,
        direction=random.choice(("in", "out")), is_business_hours=random.random() < 0.8,
    )  # fmt: skip


def _login(random: Random, number: int, time_ms: int, place: Place) -> Event:
    outcome, reason = ("failure", "bad_password") if random.random() < 0.05 else ("success", "")
    logon_type = random.choice(("console", "network", "web", "unlock", "vpn"))
    ip = f"10.{random.randrange(20)}.{random.randrange(250)}.7"
    return make_event(
        time_ms, f"l{number}", "login", "dc-1", "login", identity_id="e1", credential=f"user.{number}",
        place=place, outcome=outcome, reason=reason, ip=ip, network=Network("office", "corporate", 0),
        logon_type=logon_type, is_interactive=True,
        mfa=random.choice(("none", "push")), device=f"LT-{number}", session=f"0x{number:x}",
        application=f"app{random.randrange(20)}", is_business_hours=random.random() < 0.8,
    )  # fmt: skip


# ----------------------------------------------------------------------- rules


def _is(field: str, *words: str) -> Leaf:
    return Leaf(field, tuple(Text((word,)) for word in words))


def _any(field: str, *tests: Test) -> Leaf:
    return Leaf(field, tests)


def _all(*args: Condition) -> Condition:
    return And(args)


LOGIN, READ = _is("event.kind", "login"), _is("event.kind", "access")
WON, LOST = _is("login.outcome", "success"), _is("login.outcome", "failure")
IN, DENIED = _is("access.outcome", "granted"), _is("access.outcome", "denied")


def shapes(n: int) -> list[Condition]:
    """40 rules; *n* varies what they are about."""
    app, zone, door, site = f"app{n}", f"z{n}", f"d{n}", f"s{n}"
    network = f"10.{n % 250}.0.0/16"
    at_night = _any("time.is_business_hours", Same(False))
    near, strong = _any("place.criticality", Compare("gte", 4)), Not(_is("login.mfa", "none"))
    logins = [
        _all(LOGIN, WON, _is("login.application", app), _is("login.logon_type", "web", "vpn")),
        _all(LOGIN, LOST, _is("login.application", app)),
        _all(LOGIN, WON, _is("login.application", app), at_night),
        _all(LOGIN, WON, _is("login.application", app, f"{app}-admin"), Not(strong)),
        _all(LOGIN, WON, _any("source.ip", Cidr(network))),
        _all(LOGIN, LOST, _any("source.ip", Cidr(network), Cidr("192.0.2.0/24"))),
        _all(LOGIN, WON, _is("place.site", site), _any("device.id", Text((f"svc-{n}", MANY)))),
        _all(LOGIN, WON, _is("place.site", site), _any("device.id", Text((MANY, f"-{n}")))),
        _all(LOGIN, WON, _is("place.site", site), _is("network.class", "hosting", "vpn", "relay")),
        _all(LOGIN, WON, _is("place.site", site), Not(_is("network.class", "corporate"))),
        _all(LOGIN, WON, _is("place.zone", zone), _any("login.is_interactive", Same(False))),
        _all(LOGIN, _is("place.zone", zone), near, at_night),
        _all(LOGIN, WON, _any("credential.id", Text((f"admin{n}", MANY)))),
        _all(LOGIN, LOST, _any("credential.id", Text((MANY, f"root{n}", MANY)))),
        _all(LOGIN, LOST, _is("login.reason", "no_such_user", "locked"), _is("place.site", site)),
        _all(LOGIN, WON, _any("credential.id", Regex(f"^adm[0-9]+{n}$"))),
        _all(LOGIN, WON, _is("login.mfa", "none"), _is("login.application", app)),
        _all(LOGIN, WON, _any("network.asn", Same(64500 + n))),
        _all(LOGIN, WON, _any("session.id", Null()), _is("login.application", app)),
        _all(LOGIN, WON, _is("place.country", "KP"), _is("login.application", app)),
        _all(LOGIN, WON, _is("login.logon_type", "service", "batch"), _is("place.site", site)),
        _all(LOGIN, WON, Or((_is("place.zone", zone), _is("place.door", door))), at_night),
        _all(LOGIN, WON, _is("place.building", f"b{n}"), _any("place.criticality", Compare("gt", 3))),
        _all(LOGIN, Or((_all(WON, _is("login.mfa", "none")), LOST)), _is("login.application", app)),
    ]  # fmt: skip
    reads = [
        _all(READ, IN, _is("place.door", door), at_night),
        _all(READ, DENIED, _is("place.door", door)),
        _all(READ, DENIED, _is("access.reason", "lost", "stolen"), _is("place.door", door, f"{door}b")),
        _all(READ, IN, _is("place.zone", zone), near, at_night),
        _all(READ, IN, _is("place.zone", zone), _is("access.direction", "out")),
        _all(READ, IN, _is("place.site", site), _is("access.taken", "not_taken")),
        _all(READ, DENIED, _is("place.site", site), Not(_is("access.reason", "unknown_credential"))),
        _all(READ, IN, _any("credential.id", Text((f"temp{n}", MANY))), near),
        _all(READ, _any("access.duress", Same(True)), _is("place.site", site)),
        _all(READ, IN, _any("access.reason_native", Text((MANY, f"override {n}", MANY)))),
        _all(READ, IN, _any("place.is_perimeter", Same(True)), _is("place.door", door)),
        _all(READ, DENIED, _any("access.reason_native", Regex(f"zone {n}.*closed", "i"))),
        _all(READ, IN, _is("identity.id", f"e{n}"), _is("place.zone", zone)),
        _all(READ, IN, _any("credential.id", Exists(False)), _is("place.door", door)),
    ]  # fmt: skip
    both: list[Condition] = [
        _all(_is("place.zone", zone), _any("place.criticality", Compare("gte", 5)), at_night),
        _all(_is("event.source", f"source-{n}"), Not(_is("place.site", site))),
    ]
    return [*logins, *reads, *both]


def in_context(conditions: Sequence[Condition], leaf: Leaf) -> list[Condition]:
    """*conditions*, each with *leaf* before what it tests itself."""
    return [And((c.args[0], leaf, *c.args[1:])) if isinstance(c, And) else And((leaf, c)) for c in conditions]


# ----------------------------------------------------------- ways of evaluation


def by_interpreter(conditions: Sequence[Condition]) -> Callable[[Observation], list[int]]:
    return lambda o: [n for n, condition in enumerate(conditions) if holds(condition, o, [])]


def by_closures(conditions: Sequence[Condition]) -> Callable[[Observation], list[int]]:
    trees = [closure(condition) for condition in conditions]
    return lambda o: [n for n, tree in enumerate(trees) if tree(o)]


def by_generated(conditions: Sequence[Condition], kind: Kind) -> Callable[[Observation], list[int]]:
    ask = compiled(conditions, kind).ask
    return lambda o: ask(o, [])


def closure(condition: Condition) -> Callable[[Observation], bool]:
    if isinstance(condition, Leaf):
        get, tests = FIELDS[condition.field].get, [_closure(test) for test in condition.tests]
        if len(tests) == 1:
            (test,) = tests
            return lambda o: test(get(o))
        return lambda o: any(test(found) for found in (get(o),) for test in tests)
    if isinstance(condition, Not):
        inner = closure(condition.arg)
        return lambda o: not inner(o)
    args, is_and = [closure(arg) for arg in condition.args], isinstance(condition, And)
    return (lambda o: all(arg(o) for arg in args)) if is_and else (lambda o: any(arg(o) for arg in args))


def _closure(test: Test) -> Callable[[object], bool]:
    match test:
        case Text(parts):
            pattern = "".join(re.escape(p.lower()) if isinstance(p, str) else ".*" for p in parts)
            if len(parts) == 1:
                return lambda v: isinstance(v, str) and v.lower() == parts[0]
            matches = re.compile(pattern, re.DOTALL).fullmatch
            return lambda v: isinstance(v, str) and matches(v.lower()) is not None
        case Regex(pattern, flags):
            search = re.compile(f"(?{flags}){pattern}" if flags else pattern).search
            return lambda v: isinstance(v, str) and search(v) is not None
        case Same(expected):
            return lambda v: v == expected
        case Compare(operator, number):
            order = {"lt": lt, "lte": le, "gt": gt, "gte": ge}[operator]
            return lambda v: isinstance(v, int | float) and order(v, number)
        case Cidr(network):
            within = ip_network(network)
            return lambda v: isinstance(v, str) and ip_address(v) in within
        case Exists(True):
            return lambda v: v is not None
    return lambda v: v is None


# --------------------------------------------------------------------- figures


def run(_: Shape) -> list[Report]:
    rules = {40: shapes(3), 1_000: [c for n in range(25) for c in shapes(n)]}
    rows = [_row(f"{count:,} rules", conditions) for count, conditions in rules.items()]
    for name, leaf in (
        ("presence.here", _any("presence.here", Compare("lt", 0.2))),
        ("travel.badge", _any("travel.badge.speed_kmh", Compare("gte", 800))),
        ("last_badge.site", _is("last_badge.site", "s3")),
        ("identity.status", _is("identity.status", "terminated")),
    ):
        rows.append(_row(f"40 rules, each with {name} first", in_context(rules[40], leaf)))
    return [
        Report(
            "rules", "Rules: CPU µs an event", ("", "generated", "closures", "interpreter", "x closures",
            "x interpreter", "holds/event", "compile ms"), rows,
            [f"{EVENTS:,} events, half reads and half logins; median of batches of {BATCH}, in turns."],
        )
    ]  # fmt: skip


def _row(name: str, conditions: Sequence[Condition]) -> tuple[str | float, ...]:
    own = {kind: [c for c in conditions if kind in kinds_of(c)] for kind in KINDS}
    began = process_time()
    generated: Asks = {kind: by_generated(found, kind) for kind, found in own.items()}
    compile_ms = (process_time() - began) * 1e3
    ways: list[Asks] = [
        generated,
        {kind: by_closures(found) for kind, found in own.items()},
        {kind: by_interpreter(found) for kind, found in own.items()},
    ]
    taken: list[list[float]] = [[] for _ in ways]
    held = {_holding(asks) for asks in ways}
    assert len(held) == 1, "all ways must agree"
    with own_collector():
        for seed in range(EVENTS // BATCH):
            for asks, times in zip(ways, taken, strict=True):
                _us(asks, observations(seed + EVENTS, BATCH))  # the code too is in the cache
                times.append(_us(asks, observations(seed, BATCH)))
    fast, closures, slow = map(median, taken)
    return name, fast, closures, slow, closures / fast, slow / fast, held.pop() / EVENTS, compile_ms


def _holding(asks: Asks) -> int:
    return sum(len(asks[o.event.kind](o)) for o in observations())


def _us(asks: Asks, of: Sequence[Observation]) -> float:
    began = process_time_ns()
    for observation in of:
        asks[observation.event.kind](observation)
    return (process_time_ns() - began) / len(of) / 1e3
