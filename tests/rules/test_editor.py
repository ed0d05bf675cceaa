"""What the loader takes, the JSON schema for editors does not mark as wrong."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.problem import Lines
from correlator.rules.editor import rule_schema
from correlator.rules.load import load_rules
from correlator.timeline.fields import FIELDS
from tests.rules.writing import documents

SCHEMA = fastjsonschema.compile(rule_schema(FIELDS) | {"$schema": "http://json-schema.org/draft-07/schema#"})
WHOLE = """
title: A rule
id: 00000000-0000-4000-8000-000000000001
name: a
status: test
level: low
description: x
references: [x]
author: x
date: 2026-01-02
modified: 2026-01-02
tags: [a.b]
falsepositives: [x]
fields: [x]
license: x
logsource: {product: x, category: x, service: x}
detection:
  s: {event.kind: access, place.criticality: 2, device.id: [a, b], access.duress: true, Code|re: x}
  k: [x, {device.id: a}]
  condition: s or k
correlator:
  entity: identity
  mode: shadow
  retract: never
  any_age: true
  suppress: {for: 1h}
  severity: {by: place.criticality, levels: {"4": high}}
  budget: {alerts: 3, per: 8h, entities: 20}
  risk: 40
  requires: {feeds: [access], exit_reads: true, warm_model: true}
  evidence: [place.site]
  controls: [x]
  owner: x
  review_by: 2027-01-31
  tests:
    - name: t
      expect: match
      expect_at: 1m
      expect_from: 0s
      start: 2026-03-03T09:00:00Z
      events: [{offset: 0s, arrives: 1m, repeat: {every: 1m, times: 2}, event.kind: access, place.site: x, Code: [x]}]
      marks: [{offset: 1m, feed: access, site: x, complete_to: 1m}]
      person:
        type: employee
        department: x
        home_site: x
        hired: -1d
        status: [{at: -1d, status: leave}]
        credentials: [{id: x, class: card, issued: -1d, states: [{at: -1d, state: lost}]}]
---
title: A correlation
id: 00000000-0000-4000-8000-000000000002
level: low
name: b
generate: true
correlation:
  type: value_count
  rules: [a]
  group-by: [identity.id, where]
  aliases: {where: {a: place.door}}
  timespan: 10m
  condition: {field: [device.id], gte: 2, lte: 5}
---
title: In order
id: 00000000-0000-4000-8000-000000000003
level: low
name: c
correlation: {type: temporal, rules: [a, b], group-by: [identity.id], timespan: 10m, condition: a and b}
---
title: A filter
logsource: {product: x}
filter: {rules: [a], s: {device.id: x}, condition: not s}
correlator: {expires: {on: 2027-01-31, reason: x, owner: x}}
"""  # noqa: E501
DOCUMENTS = [document for document, _ in documents(WHOLE)]
VALUES: list[Any] = [
    None, True, False, 0, 1, 2.0, 2.5, -1, "", " ", "x", "a", "High", "TEST", "1h", "+1h", "0s", "any", "*",
    "access", "identity.id", "2026-01-02", "2026/01/02", [], [1], ["a"], ["a", "a"], [[]], [["a"]], [None],
    [{"device.id": "a"}], [[{"device.id": "a"}], "b"], {}, {"device.id": "a"}, {"gte": 2}, {"x": 1},
]  # fmt: skip


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in places(part, (*path, key)))]


PLACES = [path for path in places(DOCUMENTS) if len(path) > 1]


def changed(path: tuple[Any, ...], value: object, *, is_gone: bool) -> list[Any]:
    found = deepcopy(DOCUMENTS)
    holder: Any = found
    for key in path[:-1]:
        holder = holder[key]
    if is_gone and isinstance(holder, dict):
        del holder[path[-1]]
    else:
        holder[path[-1]] = deepcopy(value)
    return found


def is_taken(read: list[Any]) -> bool:
    problems = load_rules([(document, Lines("rule.yml")) for document in read])[1]
    return all(problem.severity == "warning" for problem in problems)


def test_the_whole_of_it_is_taken_by_both() -> None:
    assert is_taken(DOCUMENTS)
    for document in DOCUMENTS:
        SCHEMA(document)


@given(st.sampled_from(PLACES), st.sampled_from(VALUES), st.booleans())
def test_what_the_loader_takes_no_editor_marks_as_wrong(
    path: tuple[Any, ...], value: object, is_gone: bool
) -> None:
    read = changed(path, value, is_gone=is_gone)
    if is_taken(read):
        for document in read:
            SCHEMA(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((0, "correlator", "suppress", "for"), "1x"),
        ((0, "correlator", "mod"), "alert"),
        ((0, "correlator", "tests", 0, "expect"), "yes"),
        ((0, "level"), "lowest"),
        ((1, "correlation", "type"), "count"),
    ],
)
def test_slips_are_marked(path: tuple[Any, ...], value: object) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaException):
        SCHEMA(changed(path, value, is_gone=False)[path[0]])


@pytest.mark.parametrize(
    ("document", "key"), [(0, "title"), (0, "logsource"), (1, "title"), (3, "title"), (3, "logsource")]
)
def test_what_is_missing_is_marked_where_the_loader_refuses(document: int, key: str) -> None:
    read = changed((document, key), None, is_gone=True)
    assert not is_taken(read)
    with pytest.raises(fastjsonschema.JsonSchemaException):
        SCHEMA(read[document])
