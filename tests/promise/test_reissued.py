"""A badge is given to somebody else, and the identities feed says so late: on the whole system, live."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from correlator.adapters.clock import SimulatedClock
from correlator.adapters.documents import shipped
from correlator.adapters.files import load_bundle
from correlator.adapters.prometheus import PrometheusMeter
from correlator.alerts.told import read_told
from correlator.cli.embedded import FAST, Embedded
from correlator.event import HOUR_MS, MINUTE_MS
from correlator.pipeline import Bundle
from correlator.simulate.emit import BadgeRecord
from correlator.simulate.wire import Encoder, read_schemas
from tests.findings import read_finding
from tests.intake.company import SITES, ms

MONDAY_MS = ms("2026-03-02T09:00")
ACTIVITIES = {1: "Create", 2: "Update", 3: "Close"}


@cache
def bundle() -> Bundle:
    with TemporaryDirectory() as name:
        (Path(name) / "sites.yml").write_text(SITES, encoding="utf-8")
        return load_bundle(Path(name))


class Live:
    """A worker on the embedded log, in simulated time."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(MONDAY_MS)
        self.embedded = Embedded(bundle(), self.clock, {"badge-events": 6})
        self.worker = self.embedded.worker(PrometheusMeter(has_process=False), FAST, steady=self.clock)
        self._encoder = Encoder(read_schemas(shipped("schemas")))

    def hire(self, who: str, *badges: dict[str, str], status: str = "active") -> None:
        self.publish(who, badges, {"2026-01-01": status})

    def publish(self, who: str, badges: Sequence[dict[str, str]], statuses: dict[str, str]) -> None:
        record = {
            "identity_id": who,
            "home_site": "lisbon",
            "badges": list(badges),
            "statuses": [{"status": status, "from": since} for since, status in statuses.items()],
        }
        self.embedded.load_identities([(who, json.dumps(record).encode())], self.clock.now_ms())

    def read(self, badge: str, number: int) -> None:
        now_ms = self.clock.now_ms()
        record = BadgeRecord(
            now_ms, now_ms, "lis-1", number, badge, "lis-main", "lis-main-in", "in", "granted", "", "taken"
        )
        for encoded in self._encoder.encode([record]):
            self.embedded.append(encoded)

    def run(self, span_ms: int) -> None:
        for _ in range(max(span_ms // MINUTE_MS, 1)):
            self.clock.sleep_ms(MINUTE_MS)
            for _ in range(3):
                self.worker.step()

    def told(self) -> list[tuple[str, str]]:
        """(activity, entity) of alerts since this was last asked, in order of entity."""
        values = [record.value or b"" for record in self.embedded.news(self.embedded.topics.alerts)]
        self.said = [read_told(value).finding_info.desc for value in values]
        found = [read_finding(value) for value in values]
        return sorted((ACTIVITIES[f.activity_id], f.unmapped.correlator.entity) for f in found)


def test_the_alert_moves_to_nobody_where_the_new_holder_may_come_in() -> None:
    live = Live()
    live.hire("left", {"id": "4711"}, status="terminated")
    live.hire("joined")
    live.run(2 * MINUTE_MS)
    live.read("4711", 1)
    live.run(5 * MINUTE_MS)
    assert live.told() == [("Create", "identity:left")]
    live.run(6 * HOUR_MS)
    live.hire("left", {"id": "4711", "valid_to": "2026-02-27"}, status="terminated")
    live.run(MINUTE_MS)
    live.hire("joined", {"id": "4711", "valid_from": "2026-02-27"})
    live.run(5 * MINUTE_MS)
    assert live.told() == [("Close", "identity:left")]
    assert "Closed as moved: the identities feed says now that badge 4711 was granted at" in live.said[0]


def test_the_alert_moves_to_the_right_person() -> None:
    """Both have left: the read was the other one's. HR is wrong once more, and takes it back."""
    live = Live()
    for who in ("ann", "ben"):
        live.hire(who, *([{"id": "4711"}] if who == "ann" else []), status="terminated")
    live.run(2 * MINUTE_MS)
    live.read("4711", 1)
    live.run(5 * MINUTE_MS)
    assert live.told() == [("Create", "identity:ann")]
    live.hire("ann", status="terminated")
    live.run(MINUTE_MS)
    live.hire("ben", {"id": "4711"}, status="terminated")
    live.run(5 * MINUTE_MS)
    assert live.told() == [("Close", "identity:ann"), ("Create", "identity:ben")]
    live.hire("ben", status="terminated")
    live.run(MINUTE_MS)
    live.hire("ann", {"id": "4711"}, status="terminated")
    live.run(5 * MINUTE_MS)
    assert live.told() == [("Close", "identity:ben"), ("Create", "identity:ann")]


def test_who_was_hired_again_and_hr_says_so_late() -> None:
    """`retract: never`: the alert stays open and says what is known now; if HR takes it back, as it was."""
    live, badges = Live(), [{"id": "4711"}]
    left = {"2026-01-01": "active", "2026-02-27": "terminated"}
    live.publish("ann", badges, left)
    live.run(2 * MINUTE_MS)
    live.read("4711", 1)
    live.run(5 * MINUTE_MS)
    assert live.told() == [("Create", "identity:ann")]
    assert "The identities feed says the person is terminated since 2026-02-28" in live.said[0]
    live.publish("ann", badges, left | {"2026-03-01": "active"})
    live.run(5 * MINUTE_MS)
    assert live.told() == [("Update", "identity:ann")]
    assert "The identities feed said that the person was terminated then." in live.said[0]
    assert "By what is known now its rule does not hold: the identities feed says who ann is" in live.said[0]
    assert live.said[0].endswith("It stays open, for its rule says that only an analyst closes it.")
    live.read("4711", 2)
    live.publish("ann", badges, left | {"2026-03-01": "active", "2026-04-01": "leave"})
    live.run(5 * MINUTE_MS)
    assert live.told() == [], "once is enough"
    live.publish("ann", badges, left)
    live.run(5 * MINUTE_MS)
    assert live.told() == [("Update", "identity:ann")]
    assert "It happened 1 more time since." in live.said[0]
    assert "By what is known now" not in live.said[0]
