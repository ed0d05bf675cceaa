"""False alarms of a simulated month with and without what keeps them away: `python -m bench false-alarms`.

500 people, 5 % of entries without a read, seven controllers with clocks that are off (three by 45 s and
more), two that upload three hours late every third day, a site of which all do on one morning, VPN users,
five people whose way in nothing reads, and three badges that are handed to somebody else, of which HR tells
two days later. Attacks are injected too: a rule that finds nothing raises no false alarm either.

Each row leaves one thing out and reads the same records again, by the production worker on the embedded log.
Every figure is a function of the seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from bench.report import Cell, Report
from bench.workload import Shape
from correlator.adapters.clock import SimulatedClock
from correlator.adapters.documents import shipped
from correlator.adapters.files import load_bundle
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.embedded import Embedded
from correlator.event import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from correlator.pipeline import Bundle
from correlator.record import Record
from correlator.rules.program import RuleProgram
from correlator.rules.rule import And, Condition, Leaf, Not, Or, Rule, Settle, Text
from correlator.simulate.company import Company, CompanySettings, simulate
from correlator.simulate.configuration import documents, identities
from correlator.simulate.evaluate import RuleResult, Truth, evaluate, read_alerts
from correlator.simulate.wire import PARTITIONS, TOPICS, read_schemas
from correlator.timeline.settings import Settings

MONTH = CompanySettings(
    days=30,
    people=500,
    tailgating=0.05,
    skews_ms=(("lis-ctl-3", 50_000), ("ber-ctl-2", -45_000), ("lis-ctl-4", 90_000)),
    offline=("lis-ctl-2",),
    unread=5,
    reissued=3,
    dead=(("lisbon", 16),),
)
STEP_MS = 5 * MINUTE_MS  # of arrival, read at a time
HR_LATE_MS = 2 * DAY_MS

Documents = dict[str, object]
Identities = list[tuple[str, bytes]]


class Month(msgspec.Struct, frozen=True):
    """*before*: what HR says at first. *told*: what it says of those whose badges changed hands."""

    company: Company
    records: Sequence[Record]
    truth: Truth
    before: Identities
    told: Identities


class Without(msgspec.Struct, frozen=True):
    """One thing left out; the defaults leave out nothing."""

    name: str
    documents: Callable[[Documents], Documents] = dict
    settings: Callable[[Settings], Settings] = msgspec.structs.replace
    rule: Callable[[Rule], Rule] = msgspec.structs.replace
    hr_late_ms: int = HR_LATE_MS


# ------------------------------------------------------------------- what is left out


def _as_isp(found: Documents) -> Documents:
    """No address is known to be that of a VPN, relay, carrier or host: all are where the database says."""
    ranges = _rows(found["networks.yml"], "ranges")
    return found | {"networks.yml": {"ranges": [r if "site" in r else r | {"class": "isp"} for r in ranges]}}


def _without_radii(found: Documents) -> Documents:
    ranges = _rows(found["networks.yml"], "ranges")
    exact = [row | {"radius_km": 0} if "radius_km" in row else row for row in ranges]
    return found | {"networks.yml": {"ranges": exact}}


def _without_ways(found: Documents) -> Documents:
    sites = found["sites.yml"]
    assert isinstance(sites, dict)
    return found | {"sites.yml": sites | {"travel": []}}


def _rows(document: object, name: str) -> list[dict[str, object]]:
    assert isinstance(document, dict)
    rows: list[dict[str, object]] = document[name]
    return rows


def _at_once(rule: Rule) -> Rule:
    if rule.settle is None:
        return rule
    now = Settle(rule.settle.feed, rule.settle.at, 0, 0, fires_incomplete=True)
    return msgspec.structs.replace(rule, settle=now)


def _without_habits(rule: Rule) -> Rule:
    """The same rule as if no habit were ever known: what asks for one does not hold."""

    def of(condition: Condition) -> Condition:
        match condition:
            case Leaf() if condition.field.startswith("habit."):
                return Leaf("event.source", (Text(("nobody's",), False),), False, False)
            case And() | Or():
                return type(condition)(tuple(of(arg) for arg in condition.args))
            case Not():
                return Not(of(condition.arg))
            case _:
                return condition

    if rule.condition is None:
        return rule
    return msgspec.structs.replace(rule, condition=of(rule.condition))


_FORGETFUL: dict[str, float] = {
    "presence_full_ms": 2 * HOUR_MS,
    "presence_exit_full_ms": 2 * HOUR_MS,
    "presence_linger_ms": 2 * HOUR_MS,
    "presence_half_life_ms": SECOND_MS,
}


_CREDULOUS: dict[str, float] = {
    "presence_full_ms": 30 * DAY_MS,
    "presence_exit_full_ms": 30 * DAY_MS,
    "presence_linger_ms": 30 * DAY_MS,
    "presence_doubtful": 1.0,
}
NEVER_ENOUGH = 1_000_000_000


def _set(**numbers: float) -> Callable[[Settings], Settings]:
    return lambda settings: msgspec.structs.replace(settings, **numbers)


ROWS = (
    Without("everything"),
    Without("no waiting for complete readers", rule=_at_once),
    Without("no habits", rule=_without_habits),
    Without("no classes of egress", documents=_as_isp),
    Without("no events more than an hour late", settings=_set(horizon_ms=HOUR_MS)),
    Without("HR never tells of the badges", hr_late_ms=90 * DAY_MS),
    Without("HR tells of them in time", hr_late_ms=0),
    Without("no margin for clocks, no quarantine", settings=_set(travel_margin_ms=0, skew_max_ms=DAY_MS)),
    Without("no times learned between doors", settings=_set(travel_trips_min=NEVER_ENOUGH)),
    Without("no share of unread learned", settings=_set(presence_arrivals_min=NEVER_ENOUGH)),
    Without("belief in presence never fades", settings=_set(**_CREDULOUS)),
    Without("next morning the stay of yesterday counts as absent", settings=_set(presence_doubtful=0.15)),
    Without("next morning it counts as any other", settings=_set(presence_doubtful=1.0)),
    Without("presence for two hours after a read", settings=_set(**_FORGETFUL)),
    Without("no logins as evidence of presence", settings=_set(presence_desk=0.0, presence_network=0.0)),
    Without("no accuracy radii", documents=_without_radii),
    Without("no configured ways", documents=_without_ways),
)


# --------------------------------------------------------------------------- running


def run(shape: Shape) -> list[Report]:  # noqa: ARG001 - every bench is asked so
    month = _month(MONTH)
    rows = [_row(without.name, month, told(month, without)) for without in ROWS]
    columns = ["", "told", "retracted", "false", "per 1,000", "D01", "D05", "D12", "others", "found"]
    note = (
        f"{MONTH.people} people, {MONTH.days} days, {month.truth.person_days:,} person-days, "
        f"{len(month.records):,} records. told: alerts ever raised; retracted: closed by late evidence; "
        "false: open at the end and of no attack, and per 1,000 person-days; found: of the attacks."
    )
    return [Report("false-alarms", "False alarms of a month, with one thing left out", columns, rows, [note])]


def _row(name: str, month: Month, alerts: Sequence[bytes]) -> list[Cell]:
    read = read_alerts(alerts)
    results = evaluate(month.truth, read)

    def total(count: Callable[[RuleResult], int], names: set[str] | None = None) -> int:
        return sum(count(found) for rule, found in results.items() if names is None or rule in names)

    wrong = total(_false)
    single = [total(_false, {rule}) for rule in ("D01", "D05", "D12")]
    return [
        name,
        len(read),
        total(lambda found: found.retracted),
        wrong,
        1_000 * wrong / month.truth.person_days,
        *single,
        wrong - sum(single),
        f"{total(lambda found: found.found)} of {total(lambda found: found.injected)}",
    ]


def _false(found: RuleResult) -> int:
    return found.false_alarms


def _month(settings: CompanySettings) -> Month:
    company = simulate(settings, read_schemas(shipped("schemas")))
    records = list(company.records())
    truth = msgspec.convert(company.truth(), Truth)
    rows = {str(row["identity_id"]): row for row in identities(company)}
    stale = rows | {}
    for found in company.reissued:
        for person in (found.old, found.new):
            first = [badge for badge in _rows(rows[person.id], "badges") if badge["valid_from"] is None]
            stale[person.id] = rows[person.id] | {"badges": [badge | {"valid_to": None} for badge in first]}
    told = [(key, _encoded(rows[key])) for key in rows if rows[key] != stale[key]]
    return Month(company, records, truth, [(key, _encoded(row)) for key, row in stale.items()], told)


def _encoded(row: dict[str, object]) -> bytes:
    return json.dumps(row).encode()


def _bundle(month: Month, without: Without) -> Bundle:
    with TemporaryDirectory() as name:
        for file, document in without.documents(documents(month.company)).items():
            (Path(name) / file).write_text(json.dumps(document), encoding="utf-8")
        bundle = load_bundle(Path(name))
    settings = without.settings(bundle.settings)
    assert isinstance(bundle.program, RuleProgram)
    rules = [without.rule(rule) for rule in bundle.program.loaded.values()]
    intake = msgspec.structs.replace(bundle.intake, horizon_ms=settings.horizon_ms)
    return msgspec.structs.replace(
        bundle, program=RuleProgram(rules, settings), settings=settings, intake=intake
    )


def told(month: Month, without: Without) -> list[bytes]:
    """Every alert record of the month, in the order of telling."""
    clock = SimulatedClock(month.records[0].timestamp_ms)
    steady = SimulatedClock(clock.now_ms())  # by which the intake ticks
    embedded = Embedded(_bundle(month, without), clock, dict.fromkeys(TOPICS, PARTITIONS))
    worker = embedded.worker(PrometheusMeter(has_process=False), steady=steady)
    embedded.load_identities(month.before, clock.now_ms())
    hr_ms = min((found.at_ms for found in month.company.reissued), default=0) + without.hr_late_ms
    alerts: list[bytes] = []

    def drain(until_ms: int) -> None:
        clock.set(until_ms)
        steady.set(until_ms)
        while embedded.lag() or worker.step():
            worker.step()
        alerts.extend(record.value or b"" for record in embedded.news(embedded.topics.alerts))
        embedded.forget()

    until_ms = clock.now_ms() + STEP_MS
    for record in month.records:
        while record.timestamp_ms >= until_ms:
            if until_ms - STEP_MS <= hr_ms < until_ms:
                embedded.load_identities(month.told, hr_ms)
            drain(until_ms)
            until_ms += STEP_MS
        embedded.append(record)
    for _ in range(DAY_MS // STEP_MS):
        drain(until_ms)
        until_ms += STEP_MS
    return alerts
