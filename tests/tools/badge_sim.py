"""Tries the product on the third-party week of badge events, which stays outside this repository.

    python tests/tools/badge_sim.py convert DATA_DIR OUT_DIR   a configuration directory for `replay`
    python tests/tools/badge_sim.py score DATA_DIR ALERTS      what the alerts found, against the users' truth

The files say nothing of where their locations are, only that every one is about four hours from every
other: the coordinates written are made up, and the travel matrix counts.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from itertools import combinations
from pathlib import Path
from zlib import crc32

import msgspec
import yaml

from correlator.simulate.evaluate import Told, read_alerts
from correlator.simulate.scenario import RULES

TOPIC = "badge-sim"  # of feeds/badge-sim.yml
PARTITIONS = 3
TRAVEL_MINUTES = 240
CLONE_RULES = ("D12",)
CURIOUS_RULES = (("D17",), ("D18",), ("D17", "D18"))


class Read(msgspec.Struct):
    """A line of the events file."""

    timestamp: datetime
    user_id: str
    room_id: str
    building_id: str
    location_id: str
    success: bool


class Score(msgspec.Struct):
    """Users told against users meant."""

    found: int
    missed: int
    false_users: int

    @property
    def precision(self) -> float:
        told = self.found + self.false_users
        return round(self.found / told, 3) if told else 0.0

    @property
    def recall(self) -> float:
        meant = self.found + self.missed
        return round(self.found / meant, 3) if meant else 0.0


def convert(data: Path, out: Path) -> int:
    """Write OUT_DIR; the number of records. Lines arrive in their order, none before an earlier one."""
    (out / "records").mkdir(parents=True, exist_ok=True)
    places: dict[str, tuple[str, str]] = {}
    users: set[str] = set()
    arrival_ms, count = 0, 0
    with (out / "records" / f"{TOPIC}.jsonl").open("w", encoding="utf-8") as records:
        for line, read in _reads(data):
            places[read.room_id] = (read.building_id, read.location_id)
            users.add(read.user_id)
            arrival_ms = max(arrival_ms, round(read.timestamp.timestamp() * 1000))
            row = {
                "arrival_ms": arrival_ms,
                "partition": crc32(read.user_id.encode()) % PARTITIONS,
                "key": read.user_id,
                "value_b64": b64encode(line.strip()).decode(),
            }
            records.write(json.dumps(row) + "\n")
            count += 1
    _write(out, places, users)
    return count


def _reads(data: Path) -> Iterator[tuple[bytes, Read]]:
    decode = msgspec.json.Decoder(Read).decode
    with gzip.open(_one(data, "*.events.jsonl.gz")) as lines:
        for line in lines:
            yield line, decode(line)


def _one(data: Path, pattern: str) -> Path:
    found = sorted(data.glob(pattern))
    if not found:
        raise SystemExit(f"{data}: no {pattern}")
    return found[0]


def _write(out: Path, places: dict[str, tuple[str, str]], users: set[str]) -> None:
    locations = sorted({location for _, location in places.values()})
    buildings = sorted(set(places.values()))
    sites = {
        "sites": [
            {"id": location, "lat": 0.0, "lon": 30.0 * number, "time_zone": "UTC"}
            for number, location in enumerate(locations)
        ],
        "buildings": [{"id": building, "site": location} for building, location in buildings],
        "zones": [
            {"id": f"zone-{building}", "site": location, "building": building, "criticality": 2}
            for building, location in buildings
        ],
        "doors": [{"id": room, "zone": f"zone-{building}"} for room, (building, _) in sorted(places.items())],
        "readers": [{"id": room, "door": room} for room in sorted(places)],
        "travel": [{"between": list(pair), "minutes": TRAVEL_MINUTES} for pair in combinations(locations, 2)],
    }
    identities = [
        {"identity_id": user, "hired": "2020-01-01", "badges": [{"id": user}]} for user in sorted(users)
    ]
    (out / "correlator.yml").write_text("feeds: [badge-sim]\npartitions: 4\n", encoding="utf-8")
    (out / "sites.yml").write_text(
        yaml.safe_dump(sites, sort_keys=False, default_flow_style=None), encoding="utf-8"
    )
    (out / "networks.yml").write_text("ranges: []\n", encoding="utf-8")
    (out / "identities.jsonl").write_text("".join(f"{json.dumps(i)}\n" for i in identities), encoding="utf-8")


def score(data: Path, alerts: list[Told]) -> dict[str, Score]:
    """Clones that show in the log, and curious users by each rule that could see them and by both."""
    with _one(data, "*.user_truth.csv").open(encoding="utf-8", newline="") as rows:
        truth = {row["user_id"]: row for row in csv.DictReader(rows)}
    visible = {user for user, row in truth.items() if row["clone_visible_in_log"] == "1"}
    curious = {user for user, row in truth.items() if row["is_curious"] == "1"}
    scores = {"clones (D12)": _score(visible, _users(alerts, CLONE_RULES))}
    for rules in CURIOUS_RULES:
        scores[f"curious ({' or '.join(rules)})"] = _score(curious, _users(alerts, rules))
    return scores


def _users(alerts: list[Told], rules: tuple[str, ...]) -> set[str]:
    wanted = {RULES[name] for name in rules}
    return {a.entity.partition(":")[2] for a in alerts if a.is_open and a.rule in wanted}


def _score(meant: set[str], told: set[str]) -> Score:
    return Score(len(meant & told), len(meant - told), len(told - meant))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main(arguments: list[str]) -> int:
    match arguments:
        case ["convert", data, out]:
            say(f"{convert(Path(data), Path(out)):,} records in {out}")
        case ["score", data, alerts]:
            with Path(alerts).open("rb") as lines:
                scores = score(Path(data), read_alerts(lines))
            for name, found in scores.items():
                meant = found.found + found.missed
                say(
                    f"{name}: found {found.found} of {meant}, false users {found.false_users}, "
                    f"precision {found.precision}, recall {found.recall}"
                )
        case _:
            say(__doc__ or "")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
