"""The tool for the third-party week, on four lines of the same form."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from pathlib import Path

from correlator.simulate.evaluate import Told
from correlator.simulate.scenario import RULES
from tests.tools.badge_sim import TOPIC, convert, score

LINES = [
    ("2026-11-23T00:00:02.000Z", "USER_1", "ROOM_1", "BLD_1", "LOC_1", True),
    ("2026-11-23T00:00:01.000Z", "USER_2", "ROOM_2", "BLD_2", "LOC_2", False),
    ("2026-11-23T01:00:00.000Z", "USER_1", "ROOM_2", "BLD_2", "LOC_2", True),
]
FIELDS = ("timestamp", "user_id", "room_id", "building_id", "location_id", "success")


def data(path: Path) -> Path:
    with gzip.open(path / "x.events.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(dict(zip(FIELDS, line, strict=True))) + "\n" for line in LINES)
    (path / "x.user_truth.csv").write_text(
        "user_id,has_cloned_badge,clone_visible_in_log,is_curious\nUSER_1,1,1,0\nUSER_2,0,0,1\nUSER_3,1,0,1\n"
    )
    return path


def test_lines_become_records_that_arrive_in_the_order_of_the_file(tmp_path: Path) -> None:
    assert convert(data(tmp_path), tmp_path / "out") == 3
    records = [json.loads(row) for row in (tmp_path / "out" / "records" / f"{TOPIC}.jsonl").open()]
    arrivals = [record["arrival_ms"] for record in records]
    assert arrivals == sorted(arrivals)
    assert [json.loads(b64decode(record["value_b64"]))["user_id"] for record in records] == [
        "USER_1",
        "USER_2",
        "USER_1",
    ]


def test_users_told_are_held_against_users_meant(tmp_path: Path) -> None:
    def told(name: str, user: str) -> Told:
        return Told(user, RULES[name], f"identity:{user}", frozenset({"1"}), 0, 0, 0, True, "", "")

    scores = score(data(tmp_path), [told("D12", "USER_1"), told("D12", "USER_2"), told("D18", "USER_2")])
    clones, curious = scores["clones (D12)"], scores["curious (D17 or D18)"]
    assert (clones.found, clones.missed, clones.false_users) == (1, 0, 1)
    assert (curious.precision, curious.recall) == (1.0, 0.5)
