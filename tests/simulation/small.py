"""The smallest configuration that has everything: two feeds, four rules, six people, two keyed partitions.

And some more bundles of the same feeds: with other numbers, rules less, rules in shadow.
"""

from __future__ import annotations

from functools import cache

import msgspec

from correlator.alerts.text import RuleText
from correlator.event import HOUR_MS, MINUTE_MS
from correlator.intake.intake import IntakeConfig
from correlator.intake.mapped import Mapped
from correlator.pipeline import Bundle
from correlator.record import Record, Reject
from correlator.timeline.settings import FeedTiming
from tests.intake.company import networks, sites
from tests.timeline.toy import SomeRules, Toy, ToyProgram

BADGES, LOGINS = "badge-events", "login-events"
RAW = {BADGES: 2, LOGINS: 1}  # topic -> partitions
KEYED = 2
HORIZON_MS = 3 * HOUR_MS
HASH = "5eed5eed5eed5eed"


class Plain:
    """A feed whose records are `Mapped` as JSON."""

    timing = FeedTiming("badge", "access", "badge-events")

    def map(self, record: Record) -> Mapped | Reject | None:
        try:
            return _mapped(record.value or b"")
        except msgspec.DecodeError as error:
            return Reject("decode", "bad_json", str(error))


_mapped = msgspec.json.Decoder(Mapped).decode


TOY = Toy(
    horizon_ms=HORIZON_MS, block_size=4, max_wait_ms=5 * MINUTE_MS, suppress_ms=MINUTE_MS, has_zones=True
)
ALL = ToyProgram(TOY).rules.keys()


@cache
def bundles() -> tuple[Bundle, ...]:
    other = msgspec.structs.replace(TOY, grace_ms=MINUTE_MS, burst_min=2, suppress_ms=2 * MINUTE_MS)
    return (
        bundle(),
        _bundle("0ther0ther0ther0", SomeRules(other, frozenset(ALL), frozenset({"travel"}))),
        _bundle("feebfeebfeebfeeb", SomeRules(TOY, frozenset({"burst", "leaver"}), frozenset())),
        _bundle("5ade5ade5ade5ade", SomeRules(TOY, frozenset(ALL), frozenset({"leaver", "unbadged"}))),
    )


@cache
def bundle() -> Bundle:
    return _bundle(HASH, ToyProgram(TOY))


def _bundle(stamp: str, program: ToyProgram) -> Bundle:
    travel = (("lisbon", "boston", TOY.minutes_between),)
    program.settings = msgspec.structs.replace(
        program.settings, travel_minutes=travel, zones=sites().critical(5)
    )
    intake = IntakeConfig(
        {BADGES: Plain(), LOGINS: Plain()},
        sites(),
        networks(),
        KEYED,
        bundle=stamp,
        horizon_ms=HORIZON_MS,
        routes={"zone": frozenset({"login"})} if program.zones else {},
    )
    texts = {rule: RuleText(rule, rule, rule) for rule in program.rules}
    return Bundle(stamp, program, intake, program.settings, texts)
