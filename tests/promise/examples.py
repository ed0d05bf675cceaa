"""How often the promise about order is tried: 300 times in `make test`, 10,000 times in `make nightly`."""

from __future__ import annotations

from hypothesis import settings

EXAMPLES_MIN = 300

promised = settings(max_examples=max(EXAMPLES_MIN, settings.default.max_examples if settings.default else 0))
