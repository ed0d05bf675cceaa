"""Every metric that the program sets is in the catalogue: a missing one would stop the loop that sets it."""

from __future__ import annotations

import re
from pathlib import Path

import correlator
from correlator.engine.metrics import CATALOGUE

NAME = re.compile(r'"(correlator_[a-z_]+)"')


def test_every_metric_in_the_code_is_in_the_catalogue() -> None:
    named: set[str] = set()
    for path in Path(correlator.__file__).parent.rglob("*.py"):
        named |= set(NAME.findall(path.read_text(encoding="utf-8")))
    assert named
    assert named <= CATALOGUE.keys()
