"""Scenarios of D17, D18, D21, D23 and D26: badges at doors and times that are not theirs."""

from __future__ import annotations

from collections.abc import Sequence

from correlator.event import HOUR_MS, MINUTE_MS, SECOND_MS
from correlator.simulate.emit import SimulatedRecord
from correlator.simulate.scene import Scene, Write

# ------------------------------------------------------------------- D17 and D18


def _burst(scene: Scene) -> Sequence[SimulatedRecord]:
    start, door = scene.at(600, 690), scene.foreign_door()
    gap_ms = scene.rng.randrange(10, 70) * SECOND_MS
    return [scene.denied(start + n * gap_ms, door) for n in range(scene.rng.randrange(5, 9))]


def _four_denials(scene: Scene) -> Sequence[SimulatedRecord]:
    start, door = scene.at(600, 690), scene.site.door(scene.who.interior)
    records: list[SimulatedRecord] = [
        scene.denied(start + n * 8_000, door, "incorrect_factor") for n in range(4)
    ]
    records.append(scene.log.badge(start + 60_000, scene.badge, door))
    return records


def _faulty_reader(scene: Scene) -> Sequence[SimulatedRecord]:
    start, door = scene.at(600, 680), scene.site.door("floor-2")
    records: list[SimulatedRecord] = [
        scene.denied(start + n * 5_000, door, "verification_failed") for n in range(3)
    ]
    for person in scene.rng.sample(scene.crowd, min(len(scene.crowd), 8)):
        first = start + scene.rng.randrange(9 * MINUTE_MS)
        for n in range(2):
            badge = person.badge_on(scene.scenario.day)
            read = scene.log.badge(
                first + n * 6_000, badge, door, outcome="denied", reason="verification_failed"
            )
            records.append(read)
    return records


def _slow_denials(scene: Scene) -> Sequence[SimulatedRecord]:
    start, door = scene.at(590, 620), scene.foreign_door()
    return [scene.denied(start + n * 13 * MINUTE_MS, door) for n in range(4)]


def _different_doors(scene: Scene, count: int, gap_ms: int) -> Sequence[SimulatedRecord]:
    start = scene.at(600, 680)
    doors = scene.rng.sample(scene.site.critical_doors, count)
    return [scene.denied(start + n * gap_ms, door) for n, door in enumerate(doors)]


def _probing(scene: Scene) -> Sequence[SimulatedRecord]:
    return _different_doors(scene, scene.rng.randrange(3, 6), scene.rng.randrange(60, 160) * SECOND_MS)


def _joiner(scene: Scene) -> Sequence[SimulatedRecord]:
    return _different_doors(scene, 3, 2 * MINUTE_MS)


def _two_doors(scene: Scene) -> Sequence[SimulatedRecord]:
    return [*_different_doors(scene, 2, 3 * MINUTE_MS)]


def _slow_doors(scene: Scene) -> Sequence[SimulatedRecord]:
    return _different_doors(scene, 3, 22 * MINUTE_MS)


def _one_door(scene: Scene) -> Sequence[SimulatedRecord]:
    start, door = scene.at(600, 690), scene.foreign_door()
    return [scene.denied(start + n * 20_000, door) for n in range(3)]


# ------------------------------------------------------------------- D21 and D23


def _used_again(scene: Scene, badge: str, outcome: str, reason: str) -> Sequence[SimulatedRecord]:
    start, door = scene.at(480, 1100), scene.rng.choice(scene.site.main_doors)
    count = scene.rng.randrange(1, 4) if outcome == "denied" else 1
    return [
        scene.log.badge(start + n * 9_000, badge, door, outcome=outcome, reason=reason) for n in range(count)
    ]


def _terminated_denied(scene: Scene) -> Sequence[SimulatedRecord]:
    return _used_again(scene, scene.badge, "denied", "disabled")


def _terminated_granted(scene: Scene) -> Sequence[SimulatedRecord]:
    return _used_again(scene, scene.badge, "granted", "")


def _lost_denied(scene: Scene) -> Sequence[SimulatedRecord]:
    card = scene.who.badges[0]
    return _used_again(scene, card.id, "denied", card.states[-1][1])


def _lost_granted(scene: Scene) -> Sequence[SimulatedRecord]:
    return _used_again(scene, scene.who.badges[0].id, "granted", "")


def _all_reads(scene: Scene) -> Sequence[SimulatedRecord]:
    """Label what the person did anyway."""
    return [*scene.reads]


def _visits_on_leave(scene: Scene) -> Sequence[SimulatedRecord]:
    time_ms, door = scene.at(600, 900), scene.site.door("main-1")
    records: list[SimulatedRecord] = [scene.log.badge(time_ms, scene.badge, door)]
    if door.has_exit_reader:
        records.append(scene.log.badge(time_ms + HOUR_MS, scene.badge, door, "out"))
    return records


# --------------------------------------------------------------------------- D26


def _night(scene: Scene, shorts: tuple[str, ...]) -> Sequence[SimulatedRecord]:
    time_ms = scene.at(90, 210)
    entrance = scene.site.door("lab-main" if shorts[0].startswith("lab") else "main-2")
    scene.log.badge(time_ms, scene.badge, entrance)
    inside: list[SimulatedRecord] = []
    for n, short in enumerate(shorts):
        door = scene.site.door(short)
        inside.append(scene.log.badge(time_ms + (4 + 15 * n) * MINUTE_MS, scene.badge, door))
        if door.has_exit_reader:
            scene.log.badge(time_ms + (14 + 15 * n) * MINUTE_MS, scene.badge, door, "out")
    if entrance.has_exit_reader:
        scene.log.badge(time_ms + 40 * MINUTE_MS, scene.badge, entrance, "out")
    return inside


def _night_visit(scene: Scene) -> Sequence[SimulatedRecord]:
    critical = [s for s in scene.who.doors if scene.site.door(s).criticality >= 3]
    return _night(scene, tuple(scene.rng.sample(critical, min(2, len(critical)))))


def _night_office(scene: Scene) -> Sequence[SimulatedRecord]:
    return _night(scene, (scene.who.interior,))


def _in_the_night(scene: Scene) -> Sequence[SimulatedRecord]:
    """Label the ordinary visit of somebody on call, or of an early bird."""
    return [r for r in scene.reads if r.time_ms < scene.log.at(scene.site, 420)]


MISUSE: dict[str, Write] = {
    "burst": _burst,
    "four-denials": _four_denials,
    "faulty-reader": _faulty_reader,
    "slow-denials": _slow_denials,
    "probing": _probing,
    "joiner": _joiner,
    "two-doors": _two_doors,
    "slow-doors": _slow_doors,
    "one-door": _one_door,
    "terminated-denied": _terminated_denied,
    "terminated-granted": _terminated_granted,
    "last-day": _all_reads,
    "on-leave": _visits_on_leave,
    "rehired": _all_reads,
    "lost-denied": _lost_denied,
    "lost-granted": _lost_granted,
    "found": _all_reads,
    "before-lost": _all_reads,
    "temp-while-lost": _all_reads,
    "night-visit": _night_visit,
    "on-call": _in_the_night,
    "early-bird": _in_the_night,
    "night-office": _night_office,
}
