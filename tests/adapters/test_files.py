from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from correlator.adapters.documents import shipped
from correlator.adapters.files import (
    bundle_of,
    kafka_settings,
    load_bundle,
    load_general,
    load_sites,
    load_texts,
    read_bundle,
)
from correlator.adapters.record_files import read_identities, read_records
from correlator.event import HOUR_MS, MINUTE_MS
from correlator.intake.arrival import NO_TIMESTAMP
from correlator.problem import BadConfiguration, Problem
from tests.intake.company import NETWORKS, SITES

GENERAL = """
settings: {horizon: 12h, travel_speed_kmh: 700, block_size: 16}
partitions: 6
topics: {prefix: "acme."}
kafka: {bootstrap_servers: "kafka:9092"}
"""


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """A configuration directory with every file that may stand in it, but feeds, rules and schemas."""
    (tmp_path / "correlator.yml").write_text(GENERAL)
    (tmp_path / "sites.yml").write_text(SITES)
    (tmp_path / "networks.yml").write_text(NETWORKS)
    return tmp_path


def problems_of(read: Callable[[], object]) -> list[str]:
    with pytest.raises(BadConfiguration) as raised:
        read()
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(("kind", "pattern"), [("rules", "*.yml"), ("feeds", "*.yml"), ("schemas", "*.avsc")])
def test_what_is_shipped_is_found(kind: str, pattern: str) -> None:
    assert list(shipped(kind).glob(pattern))


def test_a_bundle_has_settings_feeds_places_and_rules(company: Path) -> None:
    bundle = load_bundle(company)
    assert (bundle.settings.horizon_ms, bundle.settings.travel_speed_kmh) == (12 * HOUR_MS, 700.0)
    assert bundle.settings.block_size == 16
    assert bundle.settings.ahead_ms == 5 * MINUTE_MS
    assert {feed.feed for feed in bundle.settings.feeds} == {"badge", "login", "door"}
    assert [site.site for site in bundle.settings.sites] == ["lisbon", "boston"]
    assert bundle.settings.travel_ms["boston", "lisbon"] == 540 * MINUTE_MS
    assert set(bundle.intake.feeds) == {"badge-events", "login-events", "door-events"}
    assert (bundle.intake.partitions, bundle.intake.horizon_ms) == (6, 12 * HOUR_MS)
    assert bundle.intake.identities == "acme.identities"
    assert bundle.intake.bundle == bundle.hash
    assert bundle.intake.sites.reader("lis-main-in") is not None
    assert bundle.intake.networks.lookup("10.1.2.3")[0] is not None
    assert len(bundle.program.rules) == len(bundle.texts) == len(list(shipped("rules").glob("*.yml")))


def test_beliefs_and_shares_are_set_from_nothing_to_all(company: Path) -> None:
    (company / "correlator.yml").write_text(
        "settings: {presence_desk: 0.8, presence_network: 0, presence_doubtful: 1, travel_haste: 0.25}\n"
    )
    found = load_bundle(company).settings
    assert (found.presence_desk, found.presence_network) == (0.8, 0.0)
    assert (found.presence_doubtful, found.travel_haste) == (1.0, 0.25)
    (company / "correlator.yml").write_text("settings: {presence_desk: 1.2}\n")
    (problem,) = problems_of(lambda: load_bundle(company))
    assert "1.2 is not between 0 and 1" in problem


def test_only_the_sites_file_is_needed(tmp_path: Path) -> None:
    (tmp_path / "sites.yml").write_text(SITES)
    bundle = load_bundle(tmp_path)
    assert bundle.intake.partitions == 4
    assert load_general(tmp_path).prefix == "correlator."
    assert kafka_settings(tmp_path)[0] is None
    assert load_sites(tmp_path).site("lisbon") is not None


def test_the_hash_is_of_what_the_files_mean(company: Path) -> None:
    first = load_bundle(company).hash
    assert len(first) == 16
    assert load_bundle(company).hash == first
    (company / "sites.yml").write_text("# a comment\n" + SITES.replace("minutes: 540", "minutes:   540"))
    (company / "correlator.yml").write_text(GENERAL.replace("kafka:9092", "other:9092"))
    assert load_bundle(company).hash == first
    (company / "sites.yml").write_text(SITES.replace("minutes: 540", "minutes: 541"))
    assert load_bundle(company).hash != first


@pytest.mark.parametrize("has_general", [True, False])
def test_a_bundle_is_the_same_when_it_comes_from_its_texts(company: Path, has_general: bool) -> None:
    if not has_general:
        (company / "correlator.yml").unlink()
    bundle, texts, _ = load_texts(company)
    assert bundle_of(texts, "acme.").hash == bundle.hash


def test_the_hash_is_the_same_for_shipped_rules_and_a_copy_of_them(company: Path) -> None:
    first = load_bundle(company).hash
    (company / "rules").mkdir()
    for number, path in enumerate(sorted(shipped("rules").glob("*.yml"))):
        (company / "rules" / f"{9 - number}.yml").write_text(path.read_text())
    assert load_bundle(company).hash == first
    (company / "rules" / "9.yml").unlink()
    assert load_bundle(company).hash != first


def test_feeds_of_the_directory_stand_beside_shipped_ones_that_are_named(company: Path) -> None:
    (company / "feeds").mkdir()
    own = (shipped("feeds") / "badge.yml").read_text().replace("name: badge\n", "name: gates\n")
    (company / "feeds" / "gates.yml").write_text(own.replace("topic: badge-events", "topic: gates"))
    (company / "sites.yml").write_text(SITES.replace("{badge: [lis-1]}", "{gates: [lis-1]}"))
    assert set(load_bundle(company).intake.feeds) == {"gates"}
    (company / "correlator.yml").write_text(GENERAL + "feeds: [login]\n")
    assert set(load_bundle(company).intake.feeds) == {"gates", "login-events"}


def test_files_of_rules_and_feeds_may_end_in_yaml(company: Path) -> None:
    """`rules check` reads them: what was checked and tested must not be left out of what is deployed."""
    for kind, name in (("rules", "d17_denied_burst.yml"), ("feeds", "badge.yml")):
        (company / kind).mkdir()
        text = (shipped(kind) / name).read_text()
        (company / kind / name).with_suffix(".yaml").write_text(text)
    bundle, texts, _ = load_texts(company)
    assert [feed.feed for feed in bundle.settings.feeds] == ["badge"]
    assert {text.name for text in bundle.texts.values()} == {"d17_denied_burst"}
    assert bundle_of(texts, "acme.").hash == bundle.hash


@pytest.mark.parametrize("name", ["correlator", "sites", "networks", "lists"])
def test_a_file_that_is_not_read_for_its_ending_is_told(company: Path, name: str) -> None:
    (company / f"{name}.yaml").write_text("{}")
    (found,) = problems_of(lambda: load_bundle(company))
    assert f"{name}.yaml: error: is not read under this name: call it {name}.yml" in found


def test_two_feeds_of_one_topic_or_name_are_refused(company: Path) -> None:
    (company / "feeds").mkdir()
    text = (shipped("feeds") / "badge.yml").read_text()
    (company / "feeds" / "a.yml").write_text(text)
    (company / "feeds" / "b.yml").write_text(text)
    (company / "feeds" / "c.yml").write_text(text.replace("name: badge\n", "name: other\n"))
    told = problems_of(lambda: load_bundle(company))
    assert any("b.yml" in text and "'badge' is also in" in text for text in told)
    assert any("c.yml" in text and "'badge-events' is also read by" in text for text in told)


def test_every_error_of_every_file_is_told_at_once(company: Path) -> None:
    (company / "correlator.yml").write_text(
        "settings: {horizont: 12h, block_size: many, horizon: 1m}\npartitions: 0\n"
        "feeds: [badge, nothing, ../a]\n"
    )
    (company / "sites.yml").write_text("sites:\n  - {id: a, lat: 1, lon: 2, time_zone: Mars/Base}\n")
    (company / "networks.yml").write_text("ranges:\n  - {cidr: x, name: y, class: isp, site: b}\n")
    (company / "rules").mkdir()
    (company / "rules" / "mine.yml").write_text("title: [\n")
    (company / "rules" / "other.yml").write_bytes(b"\xff\xfe")
    told = "\n".join(problems_of(lambda: load_bundle(company)))
    for part in (
        "correlator.yml:1:12: error: settings.horizont: unknown key 'horizont' (did you mean 'horizon'?)",
        "settings.block_size: expected a whole number",
        "settings.horizon: must be at least 10m",
        "partitions: expected a whole number",
        "feeds[1]: no feed 'nothing' is shipped",
        "feeds[2]: '../a' is no name of a feed",
        "sites.yml:2:29: error: sites[0].time_zone: 'Mars/Base' is no time zone",
        "networks.yml:2:6: error: ranges[0].cidr: 'x' is no address range",
        "mine.yml:",
        "other.yml: error: not UTF-8",
    ):
        assert part in told
    bundle, problems = read_bundle(company)
    assert bundle is None
    assert problems


def test_a_setting_that_no_date_can_be_told_of_is_a_slip(company: Path) -> None:
    (company / "correlator.yml").write_text("settings: {horizon: 999999999w}")
    (found,) = problems_of(lambda: load_bundle(company))
    assert "settings.horizon: longer than 36,500 days" in found


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    told = problems_of(lambda: load_bundle(tmp_path / "nowhere"))
    assert any("there is no such directory" in text for text in told)


def test_kafka_settings_are_given_as_written_with_their_place(company: Path) -> None:
    found, lines = kafka_settings(company)
    assert found == {"bootstrap_servers": "kafka:9092"}
    assert lines.at(("kafka", "bootstrap_servers")) == (5, 9)


def write_lines(path: Path, *rows: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_records_of_all_topics_come_in_order_of_arrival(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "records" / "badge-events.jsonl",
        {"arrival_ms": 10, "partition": 1, "key": "k", "value_b64": "AQI=", "headers": {"h": "v"}},
        {"arrival_ms": 30, "partition": 1, "key": None, "value": {"a": [1, None]}},
        {"arrival_ms": 30, "partition": 0, "value_b64": ""},
    )
    write_lines(
        tmp_path / "records" / "login-events.jsonl", {"arrival_ms": 20, "value": "text"}, {"value": 1}
    )
    records = list(read_records(tmp_path))
    assert [(r.topic, r.partition, r.offset, r.timestamp_ms) for r in records] == [
        ("badge-events", 1, 0, 10),
        ("login-events", 0, 0, 20),
        ("login-events", 0, 1, NO_TIMESTAMP),
        ("badge-events", 1, 1, 30),
        ("badge-events", 0, 0, 30),
    ]
    assert (records[0].key, records[0].value, records[0].headers) == (b"k", b"\x01\x02", (("h", b"v"),))
    assert [r.value for r in records[1:]] == [b'"text"', b"1", b'{"a": [1, null]}', b""]


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([{"arrival_ms": 9}, {"arrival_ms": 8}], ":2:1: error: arrived at 8, before the line above"),
        ([{"arrival_ms": "9"}], ":1:1: error: not a record"),
        ([{"value_b64": "*"}], ":1:1: error: not a record"),
        ([{"arival_ms": 9}], "arival_ms"),
        ([3], "not a record"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path: Path, rows: list[object], part: str) -> None:
    write_lines(tmp_path / "records" / "t.jsonl", *rows)
    [told] = problems_of(lambda: list(read_records(tmp_path)))
    assert part in told


def test_identities_are_checked_together_with_line_numbers(company: Path) -> None:
    path = write_lines(
        company / "identities.jsonl",
        {"identity_id": "e1", "home_site": "mars"},
        {"identity_id": "e2", "badges": [{"id": "17"}]},
        {"identity_id": "e3"},
        {"identity_id": "e2"},
        {"id": "e4"},
    )
    sites = load_sites(company)
    told = problems_of(lambda: read_identities(path, sites))
    assert [text.split(":")[1] for text in told] == ["1", "4", "5"]
    for part, text in zip(("mars", "first in line 2", "identity_id"), told, strict=True):
        assert part in text
    assert problems_of(lambda: read_identities(company / "nothing.jsonl", sites))


def test_of_what_several_claim_one_is_warned_and_who_held_it_first_need_not_stand_first(
    company: Path,
) -> None:
    rows = [
        {"identity_id": "e2", "badges": [{"id": "17", "valid_from": "2026-01-05"}]},
        {"identity_id": "e3", "accounts": [{"name": "admin"}]},
        {"identity_id": "e4", "accounts": [{"name": "admin"}]},
        {"identity_id": "e1", "badges": [{"id": "17", "valid_to": "2026-01-05"}]},
    ]
    path, warned = write_lines(company / "identities.jsonl", *rows), list[Problem]()
    found = read_identities(path, load_sites(company), warned.append)
    assert found == [(row["identity_id"], json.dumps(row).encode()) for row in rows]
    assert [(problem.line, problem.severity) for problem in warned] == [(3, "warning")]
    assert "account 'admin' is claimed by 'e3' always" in warned[0].message


def test_a_feed_that_is_not_shipped_is_told_where_it_is_named(company: Path) -> None:
    (company / "correlator.yml").write_text("partitions: 2\nfeeds: [login, bage]\n")
    (said,) = problems_of(lambda: load_bundle(company))
    assert said.startswith(f"{company}/correlator.yml:2:16: error: feeds[1]: no feed 'bage' is shipped")
    assert "did you mean 'badge'?" in said
