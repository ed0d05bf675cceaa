"""What is said of mistakes in files that no other test makes: each message, provoked and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from correlator.adapters.schema_store import read_schemas
from correlator.adapters.yaml_lines import load_yaml
from correlator.intake.networks import parse_networks
from correlator.intake.places import parse_sites
from tests.intake.feed_files import ACCESS, parse
from tests.rules.test_load import EVENTS, SETTLE, said
from tests.rules.writing import ID, counting, rule

SITES = """
sites: [{id: a, lat: 1, lon: 1, time_zone: UTC}, {id: b, lat: 2, lon: 2, time_zone: UTC}]
zones: [{id: a-hall, site: a}]
"""
TIME, CARD = "time: {path: at, convert: iso}", "credential.id: card.number"


def _samples(text: str) -> str:
    return f"{ACCESS}samples:\n  - {text}\n"


FEEDS = {
    "3": "a feed file has fields: name, topic, format, kind",
    ACCESS.replace(TIME, "time: {path: at, convert: {local: {zone: UTC}}}"): "local needs a format like %Y",
    ACCESS.replace(TIME, "time: {path: at, convert: {iso: [UTC]}}"): "expected the fields zone, repeated",
    ACCESS.replace(TIME, "time: {path: at, convert: {iso: {zona: UTC}}}"): "unknown field; there are: zone",
    ACCESS.replace(CARD, "credential.id: {path: c, convert: {split: {at: x}}}"): "split needs `at`, a text",
    ACCESS.replace(CARD, "credential.id: {path: c, convert: {lower: 1}}"): "takes no parameter: write its name",
    ACCESS.replace(CARD, "credential.id: {paths: [a, b]}"): "paths need `join`: the text between them",
    ACCESS.replace(CARD, "credential.id: {constant: x, convert: lower}"): "a constant is neither converted nor",
    ACCESS.replace(CARD, "credential.id: {constant: [x]}"): "expected one plain value, found",
    ACCESS.replace(CARD, "credential.id: a..b"): "'a..b' is no path like client.ipAddress",
    ACCESS.replace("topic: panel-events", "topic: [x]"): "expected text, found",
    ACCESS.replace("kind: access\n", ""): "kind is missing: one of access, login, door",
    ACCESS.replace("kind: access", "kind: {path: k, convert: lower}"): "the kind needs an enum that gives: access",
    ACCESS.replace(CARD, "credential.id: {paths: [a, [b]], join: ''}"): "expected text, found",
    ACCESS.replace("format: json", "format: json\nschema: badge-event"): "only Avro has this, the format is json",
    f"{ACCESS}timing: 3\n": "expected fields with values, found",
    f"{ACCESS}samples: 3\n": "expected a list, found",
    _samples("{expect: {ignored: true}}"): "a sample has either `value`, as JSON values, or `base64`",
    _samples("{base64: '?', expect: {ignored: true}}"): "not base64",
    _samples("{value: {}}"): "a sample needs `expect`: the event, {reject: reason}",
    _samples("{value: {}, expect: {time: noon}}"): "the event's time: ",
    (Path(__file__).parents[2] / "feeds" / "badge.yml").read_text().replace('badge_id: "004711"', "badge_id: 4"):
        "does not fit the schema badge-event",
}  # fmt: skip

NETWORKS = {
    "ranges: [{name: a, class: isp}]": "cidr is missing",
    "ranges: [{cidr: 10.1.2.0/16, name: a, class: isp}]": "10.1.2.0/16 begins within a range: write 10.1.0.0/16",
    "ranges: [{cidr: 10.0.0.0/8, name: a, class: isp, lat: 3}]": "lat and lon are given together or not at all",
    "ranges: [{cidr: 10.0.0.0/8, name: a, class: isp, lat: x, lon: 3}]": "expected a number, found",
    "ranges: [{cidr: 10.0.0.0/8, name: a, class: corporate, site: a, lat: 3, lon: 4}]":
        "lat comes from the site: leave it out, or leave out the site",
}  # fmt: skip

PLACES = {
    "zones: []": "sites is missing",
    f"{SITES}doors: [{{id: d, zone: a-hall, lat: 3}}]": "lat and lon are given together or not at all",
    f"{SITES}hosts: [{{id: h, zone: a-hall, site: a}}]": "a host has a zone or a site, not both: the zone says",
    f"{SITES}travel: [{{between: [a], minutes: 3}}]": "between names two sites, zones, doors or readers",
    f"{SITES}travel: [{{between: [a, a], minutes: 3}}]": "a is named twice: a way has two ends",
    f"{SITES}travel: [{{between: [a, b], minutes: 3}}, {{between: [b, a], minutes: 3}}]":
        "b and a are here twice; a way counts in both directions",
}  # fmt: skip

TEMPORAL = "type: temporal_ordered\nrules: [base]\ngroup-by: [identity.id]\ntimespan: 10m\n"
COUNTED = EVENTS.replace("{gte: 5}", "{field: place.door}")
SUMMED = EVENTS.replace("event_count", "value_sum").replace(
    "{gte: 5}", "{gte: 5, field: [place.lat, place.lon]}"
)
FILTER = f"""title: A filter
id: {ID.format(3)}
logsource: {{product: x}}
filter:
  rules: [rule_1]
  s: {{device.id: y}}
  condition: {{}}
correlator: {{risk: 5}}
"""
CASE = "correlator:\n  tests:\n    - {{name: a, expect: match, events: [{}]}}\n"
GOOD = "s: {device.id: x}\ncondition: s"
ORDERED = """title: Steps
id: {id}
name: steps
level: low
correlation:
  type: temporal_ordered
  rules: [{names}]
  group-by: [identity.id]
  timespan: 10m
"""
BASE = "title: Base\nname: base_{0}\nlogsource: {{product: x}}\ndetection:\n  s: {{device.id: x{0}}}\n  condition: s\n---\n"
STEPS = "".join(BASE.format(at) for at in range(21)) + ORDERED.format(
    id=ID.format(9), names=", ".join(f"base_{at}" for at in range(21))
)
ABSENT = counting(
    "type: temporal_ordered\nrules: [base, other]\ngroup-by: [identity.id]\ntimespan: 10m\ncondition: base and not other",
    SETTLE.replace("place.site", "place.site"),
).replace(
    "title: Counting",
    "title: Other\nname: other\nlogsource: {product: x}\ndetection:\n  s: {event.kind: access}\n  condition: s\n---\ntitle: Counting",
)
SETTLING = counting(EVENTS).replace(
    "  condition: s\n---",
    f"  condition: s\nlevel: low\nid: {ID.format(8)}\n{SETTLE}---".replace(
        "event.kind: access", "event.kind: login"
    ),
    1,
)
RULES = {
    STEPS: "are more than 20 steps",
    ABSENT: "is not for correlations: the verdict is taken where the window closes",
    SETTLING: "settles: a correlation cannot count what is decided later",
    f"{rule(GOOD)}---\n{FILTER.replace('risk: 5', 'expires: {on: 2027-01-31}')}": "reason is missing: expires: {on:",
    rule(GOOD, CASE.format("3")): "must be an event: {offset: 0s, event.kind: login",
    rule(GOOD, CASE.format("{offset: 0s}")): "event.kind is missing, one of:",
    rule(GOOD, CASE.format(", ".join(["{event.kind: login, repeat: {every: 1s, times: 5000}}"] * 2))): "has more than",
    counting(TEMPORAL + "condition: {eq: 0}"): "of temporal_ordered every rule is needed: leave the condition out",
    counting(COUNTED): "has no threshold, such as gte: 5",
    counting(SUMMED): "value_sum takes one field",
    counting(EVENTS, SETTLE): "is for detection rules and negated steps: a correlation counts what was seen",
    counting(EVENTS, base="s: {place.criticality|nope: x}"): "the rule 'base' has errors",
    f"{rule(GOOD)}---\n{FILTER}": "risk is for rules; a filter has",
    f"{rule(GOOD)}---\n{FILTER.replace('correlator', 'x-correlator')}": "of a filter is one text",
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), FEEDS.items(), ids=FEEDS.values())
def test_of_a_feed(text: str, message: str) -> None:
    feed, problems = parse(text)
    assert feed is None or any(problem.severity == "error" for problem in problems)
    assert [p.message for p in problems if message in p.message], [str(problem) for problem in problems]


@pytest.mark.parametrize(("text", "message"), NETWORKS.items(), ids=NETWORKS.values())
def test_of_networks(text: str, message: str) -> None:
    sites, _ = parse_sites(*load_yaml(SITES, "sites.yml")[:2])
    document, lines, _ = load_yaml(text, "networks.yml")
    found, problems = parse_networks(document, lines, sites)
    assert found is None
    assert [p.message for p in problems if message in p.message], [str(problem) for problem in problems]


@pytest.mark.parametrize(("text", "message"), PLACES.items(), ids=PLACES.values())
def test_of_places(text: str, message: str) -> None:
    document, lines, _ = load_yaml(text, "sites.yml")
    found, problems = parse_sites(document, lines)
    assert found is None
    assert [p.message for p in problems if message in p.message], [str(problem) for problem in problems]


@pytest.mark.parametrize(("text", "message"), RULES.items(), ids=RULES.values())
def test_of_rules(text: str, message: str) -> None:
    problems = said(text)
    assert [problem for problem in problems if message in problem], problems


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ids.yml", b"3", "expected lines of `schema id: file`"),
        ("a.avsc", b"\xff", "not UTF-8 text: "),
        ("a.avsc", b"[" * 100_000, "nested too deeply"),
        ("ids.yml", b"1: a.avsc\n---\n2: b.avsc\n", "a second document: this file may hold only one"),
    ],
)
def test_of_schemas(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    _, problems = read_schemas(tmp_path)
    assert [p.message for p in problems if message in p.message], [str(problem) for problem in problems]
