"""Scenarios of D28: doors that open without anybody being let through."""

from __future__ import annotations

from collections.abc import Sequence

from correlator.event import MINUTE_MS
from correlator.simulate.emit import BadgeRecord, LoginRecord, SimulatedRecord
from correlator.simulate.geography import Door
from correlator.simulate.scene import Scene, Write

MARGIN_MS = 10 * MINUTE_MS  # without any use of a door around an attack on it


# --------------------------------------------------------------------------- D28


def _door(scene: Scene) -> Door:
    return next(d for d in scene.site.doors if d.id == scene.scenario.door)


def _uses(scene: Scene) -> list[int]:
    door = scene.scenario.door
    return [r.time_ms for r in scene.log.records if not isinstance(r, LoginRecord) and r.door == door]


def _undisturbed(scene: Scene, first: float, last: float) -> int:
    """A time at which nobody uses the door for a while before, nor after it."""
    uses = _uses(scene)
    for _ in range(300):
        time_ms = scene.at(first, last)
        if all(abs(use - time_ms) > MARGIN_MS for use in uses):
            return time_ms
    return scene.at(60, 90)


def _forced(scene: Scene) -> Sequence[SimulatedRecord]:
    time_ms, door = _undisturbed(scene, 60, 1380), _door(scene)
    records: list[SimulatedRecord] = [scene.log.door(time_ms, door, "forced")]
    scene.log.door(time_ms + 15_000, door, "closed")
    return records


def _after_grant(scene: Scene) -> Sequence[SimulatedRecord]:
    """The contact reports before the controller has matched the grant."""
    badges = [
        r
        for r in scene.log.records
        if isinstance(r, BadgeRecord) and r.door == scene.scenario.door and r.taken == "taken"
    ]
    if badges:
        grant = scene.rng.choice(badges)
    else:
        assert scene.guard is not None
        grant = scene.log.badge(_undisturbed(scene, 500, 800), scene.guard.badge, _door(scene), taken="taken")
    forced = scene.log.door(grant.time_ms + 2_000, _door(scene), "forced")
    forced.time_ms = grant.time_ms + 2_000
    return [grant, forced]


def _after_rex(scene: Scene) -> Sequence[SimulatedRecord]:
    time_ms, door = _undisturbed(scene, 480, 1200), _door(scene)
    return [scene.log.door(time_ms, door, "rex"), scene.log.door(time_ms + 1_800, door, "forced")]


def _held(scene: Scene) -> Sequence[SimulatedRecord]:
    time_ms, door = _undisturbed(scene, 480, 1200), _door(scene)
    return [scene.log.door(time_ms, door, "rex"), scene.log.door(time_ms + 40_000, door, "held")]


def _faulty_contact(scene: Scene) -> Sequence[SimulatedRecord]:
    """Five reports after requests to exit show that the contact is bad; the sixth has no request."""
    start, door = scene.at(480, 700), _door(scene)
    records: list[SimulatedRecord] = []
    for n in range(6):
        time_ms = start + n * 12 * MINUTE_MS
        if n < 5:
            scene.log.door(time_ms, door, "rex")
        records.append(scene.log.door(time_ms + 2_000, door, "forced"))
    return records


FORCED: dict[str, Write] = {
    "forced": _forced,
    "after-grant": _after_grant,
    "after-rex": _after_rex,
    "held": _held,
    "faulty-contact": _faulty_contact,
}
