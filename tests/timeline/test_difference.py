"""What readers are told does not depend on the order in which their alerts are held."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from correlator.timeline.alert import Alert
from correlator.timeline.decide import difference

ids = st.sampled_from("abcdef")


@st.composite
def some_alerts(draw: st.DrawFn) -> dict[str, Alert]:
    found = {}
    for event in draw(st.lists(ids, unique=True, max_size=5)):
        evidence = (*sorted(draw(st.sets(ids, max_size=3)) - {event}), event)
        at_ms = draw(st.integers(0, 3))
        alert = Alert("r" + event, "r", "identity:e1", "high", at_ms, event, evidence)
        found[alert.uid] = alert
    return found


@given(some_alerts(), some_alerts(), st.randoms(use_true_random=False))
def test_in_whatever_order(old: dict[str, Alert], new: dict[str, Alert], random: Random) -> None:
    threads = {uid: f"thread of {uid}" for uid in old}

    def shuffled(alerts: dict[str, Alert]) -> dict[str, Alert]:
        return dict(random.sample(sorted(alerts.items()), len(alerts)))

    assert difference(shuffled(old), shuffled(new), threads, ()) == difference(old, new, threads, ())
