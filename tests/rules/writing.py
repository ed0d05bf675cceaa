"""Rules and observations for tests, written as briefly as can be."""

from __future__ import annotations

from textwrap import indent

import msgspec

from correlator.adapters.yaml_lines import load_yaml_all
from correlator.event import Event, Network, Place, make_event
from correlator.problem import Problem
from correlator.rules.detection import Detection
from correlator.rules.interpret import holds
from correlator.rules.load import Document, load_rules
from correlator.rules.program import RuleProgram
from correlator.rules.rule import Condition, Rule
from correlator.rules.testing import CaseResult, run_case
from correlator.timeline.live import Live, Window
from correlator.timeline.observation import Observation
from correlator.timeline.program import Found
from correlator.timeline.settings import Settings

SETTINGS = Settings()
ID = "00000000-0000-4000-8000-0000000000{:02}"


def one(line: str) -> str:
    """A detection that asks one thing."""
    return f"s:\n  {line}\ncondition: s"


def documents(text: str, file: str = "rule.yml") -> list[Document]:
    read, problems = load_yaml_all(text, file)
    assert not problems, problems
    return list(read)


def load(text: str) -> tuple[list[Rule], list[Problem]]:
    return load_rules(documents(text))


def rule(detection: str, extra: str = "", number: int = 1) -> str:
    """A rule with this detection section, and more top-level text."""
    head = f"title: A rule\nid: {ID.format(number)}\nname: rule_{number}\nlevel: low\n"
    head += "logsource: {product: x}\n"
    return f"{head}detection:\n{indent(detection, '  ')}\n{extra}"


def counting(correlation: str, extra: str = "", base: str = "s: {event.kind: access}") -> str:
    """A correlation over the one rule `base`."""
    counted = f"title: Base\nname: base\nlogsource: {{product: x}}\ndetection:\n  {base}\n  condition: s\n"
    head = f"title: Counting\nid: {ID.format(9)}\nname: counting\nlevel: low\n"
    return f"{counted}---\n{head}correlation:\n{indent(correlation, '  ')}\n{extra}"


def run_cases(rules: list[Rule]) -> list[CaseResult]:
    """The results of all tests of *rules*, in order."""
    return [run_case(rule, case) for rule in rules for case in rule.cases]


def condition(detection: str) -> Condition:
    document, lines = documents(f"detection:\n{indent(detection, '  ')}\n")[0]
    assert isinstance(document, dict)
    reader = Detection(lines)
    read = reader.read(document["detection"])
    assert read is not None, reader.problems
    return read


def access(time_ms: int = 0, key: str = "a", **values: object) -> Event:
    fields: dict[str, object] = {"identity_id": "e1", "credential": "4711", "outcome": "granted"} | values
    return make_event(time_ms, key, "access", **fields)  # type: ignore[arg-type] # names are checked by the call


def login(**values: object) -> Event:
    fields: dict[str, object] = {"identity_id": "e1", "credential": "anna", "outcome": "success"} | values
    return make_event(0, "l", "login", **fields)  # type: ignore[arg-type] # names are checked by the call


def observe(event: Event, live: Live | None = None, entity: str = "identity:e1") -> Observation:
    return Observation(entity, event, live or Live(), SETTINGS, event.time_ms, {}, {})


def found_by(using: RuleProgram, observation: Observation, windows: tuple[Window, ...] = ()) -> Found:
    """What *using* makes of the observation's event, with *windows* in the state before it."""
    live = msgspec.structs.replace(observation.live, windows=windows)
    found = using.on_event(observation.entity, observation.event, live)
    return found if found is not None else Found([], windows, [])


def matches(detection: str, event: Event) -> bool:
    return holds(condition(detection), observe(event), [])


LISBON = Place(site="lisbon", building="main", door="lis-1", criticality=2, lat=38.72, lon=-9.14)
ISP = Network("example", "isp", 64500)
