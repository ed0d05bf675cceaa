"""The smallest configuration that has everything: two feeds, four rules, six people, two keyed partitions."""

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
from tests.timeline.toy import Toy, ToyProgram

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


@cache
def bundle() -> Bundle:
    toy = Toy(horizon_ms=HORIZON_MS, block_size=4, max_wait_ms=5 * MINUTE_MS, suppress_ms=MINUTE_MS)
    program = ToyProgram(toy)
    travel = (("lisbon", "boston", toy.minutes_between),)
    program.settings = msgspec.structs.replace(program.settings, travel_minutes=travel)
    intake = IntakeConfig(
        {BADGES: Plain(), LOGINS: Plain()}, sites(), networks(), KEYED, bundle=HASH, horizon_ms=HORIZON_MS
    )
    texts = {rule: RuleText(rule, rule, rule) for rule in program.rules}
    return Bundle(HASH, program, intake, program.settings, texts)
