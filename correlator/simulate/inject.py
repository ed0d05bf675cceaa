"""Writes one scenario into the day that ordinary life has already filled, and answers with the records it is about."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from correlator.event import HOUR_MS, MINUTE_MS, SECOND_MS
from correlator.simulate.days import lan_address, workstation
from correlator.simulate.emit import BadgeRecord, DayLog, DoorRecord, LoginRecord, SimulatedRecord
from correlator.simulate.geography import FAR_ISPS, NEAR_ISPS, WIDE_ISPS, Door, Site
from correlator.simulate.people import Person
from correlator.simulate.scenario import Scenario
from correlator.simulate.wire import stated_id

MARGIN_MS = 10 * MINUTE_MS  # without any use of a door around an attack on it


class Scene(NamedTuple):
    """*own* is what the person left behind on that day; *crowd* is everybody on site, for what takes more than one."""

    log: DayLog
    scenario: Scenario
    person: Person | None
    site: Site
    rng: Random
    own: list[SimulatedRecord]
    crowd: list[Person]
    guard: Person | None

    @property
    def who(self) -> Person:
        assert self.person is not None, self.scenario.id
        return self.person

    @property
    def badge(self) -> str:
        return self.who.badge_on(self.scenario.day)

    @property
    def reads(self) -> list[BadgeRecord]:
        """The person's reads of the day that let somebody through, oldest first."""
        found = [
            r
            for r in self.own
            if isinstance(r, BadgeRecord) and r.outcome == "granted" and r.taken != "not_taken"
        ]
        return sorted(found, key=lambda r: r.time_ms)

    def at(self, first: float, last: float) -> int:
        return self.log.at(self.site, self.rng.uniform(first, last))

    def address(self, network: str) -> str:
        return self.log.ranges[network].address(self.rng.randrange(200))

    def foreign_door(self) -> Door:
        """A door of the site that is not for this person."""
        own = {f"{self.site.code}-{short}" for short in self.who.doors}
        return self.rng.choice([d for d in self.site.critical_doors if d.id not in own])

    def console(self, time_ms: int, logon_type: str, site: Site | None = None) -> LoginRecord:
        where = site or self.site
        return self.log.login(
            time_ms, self.who.account, lan_address(self.log, self.who, where), logon_type,
            device=workstation(self.who, where), application="workstation",
        )  # fmt: skip

    def denied(self, time_ms: int, door: Door, reason: str = "no_access_rights") -> BadgeRecord:
        return self.log.badge(time_ms, self.badge, door, outcome="denied", reason=reason)


Write = Callable[[Scene], list[SimulatedRecord]]


def inject(scene: Scene) -> None:
    """Write the scene's scenario; its event ids and times are filled in."""
    records = _WRITE[scene.scenario.variant](scene)
    scenario = scene.scenario
    scenario.event_ids = [stated_id(record) for record in records]
    scenario.from_ms = min((r.time_ms for r in records), default=0)
    scenario.to_ms = max((r.time_ms for r in records), default=0)


# --------------------------------------------------------------------------- D01


def _while_elsewhere(scene: Scene) -> list[SimulatedRecord]:
    time_ms = scene.at(690, 1170)
    records: list[SimulatedRecord] = [scene.console(time_ms, scene.rng.choice(("console", "unlock")))]
    if scene.rng.random() < 0.4:
        records.append(scene.console(time_ms + 20 * MINUTE_MS, "unlock"))
    return records


def _morning(scene: Scene) -> list[SimulatedRecord]:
    """Label what the person did anyway: the first reads and the logins that rest on them."""
    return sorted((r for r in scene.own if not isinstance(r, DoorRecord)), key=lambda r: r.time_ms)[:6]


def _remote_desktop(scene: Scene) -> list[SimulatedRecord]:
    time_ms = scene.at(600, 1000)
    ip = scene.address(f"lan-{scene.site.id}") if scene.rng.random() < 0.5 else scene.address("vpn-pool")
    return [
        scene.log.login(
            time_ms, scene.who.account, ip, "remote_interactive",
            device=workstation(scene.who, scene.site), application="workstation",
        )
    ]  # fmt: skip


def _overnight(scene: Scene) -> list[SimulatedRecord]:
    last = scene.reads[-1]
    return [last, scene.console(last.time_ms + 9 * HOUR_MS + scene.rng.randrange(HOUR_MS // 2), "unlock")]


def _behind_vpn(scene: Scene) -> list[SimulatedRecord]:
    return [r for r in scene.own if isinstance(r, LoginRecord) and r.logon_type == "unlock"]


def _failed(scene: Scene) -> list[SimulatedRecord]:
    time_ms, ip = scene.at(600, 1000), lan_address(scene.log, scene.who, scene.site)
    return [
        scene.log.login(
            time_ms + n * 7 * SECOND_MS, scene.who.account, ip, "console", outcome="failure", reason="bad_password",
            device="SHARED-WS-01", application="workstation",
        )
        for n in range(2)
    ]  # fmt: skip


# --------------------------------------------------------------------------- D05


def _login_after_read(
    scene: Scene, network: str, *, outcome: str = "success", is_interactive: bool = True
) -> list[SimulatedRecord]:
    read = scene.rng.choice(scene.reads)
    time_ms = read.time_ms + scene.rng.randrange(15 * MINUTE_MS, 80 * MINUTE_MS)
    login = scene.log.login(
        time_ms, scene.who.account, scene.address(network), "web", mfa="push", outcome=outcome,
        reason="bad_password" if outcome == "failure" else "", is_interactive=is_interactive,
        device=f"UNKNOWN-{scene.rng.randrange(1000)}", application="mail",
    )  # fmt: skip
    return [login]


def _far_login(scene: Scene) -> list[SimulatedRecord]:
    far = [isp for isp in FAR_ISPS if (scene.site.id, isp) not in {("singapore", "isp-tokyo")}]
    return _login_after_read(scene, scene.rng.choice(far))


def _far_failure(scene: Scene) -> list[SimulatedRecord]:
    return _login_after_read(scene, scene.rng.choice(FAR_ISPS), outcome="failure")


def _far_token(scene: Scene) -> list[SimulatedRecord]:
    return _login_after_read(scene, scene.rng.choice(FAR_ISPS), is_interactive=False)


def _through(network: str) -> Write:
    return lambda scene: _login_after_read(scene, network)


def _near(scene: Scene) -> list[SimulatedRecord]:
    return _login_after_read(scene, NEAR_ISPS[scene.site.id])


def _wide(scene: Scene) -> list[SimulatedRecord]:
    return _login_after_read(scene, WIDE_ISPS[scene.site.id])


# --------------------------------------------------------------------------- D12


def _elsewhere(scene: Scene) -> Site:
    return scene.rng.choice([site for site in scene.log.sites if site.number != scene.site.number])


def _clone_far(scene: Scene) -> list[SimulatedRecord]:
    read = scene.rng.choice(scene.reads)
    time_ms = read.time_ms + scene.rng.randrange(20 * MINUTE_MS, 90 * MINUTE_MS)
    return [scene.log.badge(time_ms, scene.badge, scene.rng.choice(_elsewhere(scene).main_doors))]


def _floor_read(scene: Scene) -> BadgeRecord:
    floors = [r for r in scene.reads if "floor" in r.door]
    if floors:
        return scene.rng.choice(floors)
    first = scene.reads[0]
    return scene.log.badge(first.time_ms + 40 * MINUTE_MS, scene.badge, scene.site.door("floor-1"))


def _clone_campus(scene: Scene) -> list[SimulatedRecord]:
    time_ms = _floor_read(scene).time_ms + scene.rng.randrange(45, 90) * SECOND_MS
    return [scene.log.badge(time_ms, scene.badge, scene.site.door("lab-2"))]


def _flight(scene: Scene) -> list[SimulatedRecord]:
    """Badge at home early, at the other near site in the afternoon."""
    other = scene.log.sites[1 - scene.site.number]
    leaves_ms = scene.at(370, 400)
    arrives_ms = leaves_ms + scene.rng.randrange(325, 400) * MINUTE_MS
    records: list[SimulatedRecord] = [scene.log.badge(leaves_ms, scene.badge, scene.site.door("main-1"))]
    records.append(scene.log.badge(arrives_ms, scene.badge, other.door("main-2")))
    records.append(scene.console(arrives_ms + 9 * MINUTE_MS, "console", other))
    return records


def _not_taken(scene: Scene) -> list[SimulatedRecord]:
    """Granted at a door far away that nobody opened: a test of the installer, with the person's number."""
    read = scene.rng.choice(scene.reads)
    door = scene.rng.choice(_elsewhere(scene).main_doors)
    return [scene.log.badge(read.time_ms + 30 * MINUTE_MS, scene.badge, door, taken="not_taken")]


def _skew(scene: Scene) -> list[SimulatedRecord]:
    """A brisk walk to the laboratories that is a little too short by the clocks of the controllers."""
    read = _floor_read(scene)
    lab = scene.log.badge(read.time_ms, scene.badge, scene.site.door("lab-2"))
    lab.time_ms = read.time_ms + scene.rng.randrange(290, 350) * SECOND_MS
    return [read, lab]


def _vestibule(scene: Scene) -> list[SimulatedRecord]:
    first = scene.reads[0].time_ms
    outer, inner = scene.site.main_doors
    return [
        scene.log.badge(first - 6_000, scene.badge, outer),
        scene.log.badge(first - 3_500, scene.badge, inner),
    ]


# ------------------------------------------------------------------- D17 and D18


def _burst(scene: Scene) -> list[SimulatedRecord]:
    start, door = scene.at(600, 690), scene.foreign_door()
    gap_ms = scene.rng.randrange(10, 70) * SECOND_MS
    return [scene.denied(start + n * gap_ms, door) for n in range(scene.rng.randrange(5, 9))]


def _four_denials(scene: Scene) -> list[SimulatedRecord]:
    start, door = scene.at(600, 690), scene.site.door(scene.who.interior)
    records: list[SimulatedRecord] = [
        scene.denied(start + n * 8_000, door, "incorrect_factor") for n in range(4)
    ]
    records.append(scene.log.badge(start + 60_000, scene.badge, door))
    return records


def _faulty_reader(scene: Scene) -> list[SimulatedRecord]:
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


def _slow_denials(scene: Scene) -> list[SimulatedRecord]:
    start, door = scene.at(590, 620), scene.foreign_door()
    return [scene.denied(start + n * 13 * MINUTE_MS, door) for n in range(4)]


def _different_doors(scene: Scene, count: int, gap_ms: int) -> list[SimulatedRecord]:
    start = scene.at(600, 680)
    doors = scene.rng.sample(scene.site.critical_doors, count)
    return [scene.denied(start + n * gap_ms, door) for n, door in enumerate(doors)]


def _probing(scene: Scene) -> list[SimulatedRecord]:
    return _different_doors(scene, scene.rng.randrange(3, 6), scene.rng.randrange(60, 160) * SECOND_MS)


def _joiner(scene: Scene) -> list[SimulatedRecord]:
    return _different_doors(scene, 3, 2 * MINUTE_MS)


def _two_doors(scene: Scene) -> list[SimulatedRecord]:
    return [*_different_doors(scene, 2, 3 * MINUTE_MS)]


def _slow_doors(scene: Scene) -> list[SimulatedRecord]:
    return _different_doors(scene, 3, 22 * MINUTE_MS)


def _one_door(scene: Scene) -> list[SimulatedRecord]:
    start, door = scene.at(600, 690), scene.foreign_door()
    return [scene.denied(start + n * 20_000, door) for n in range(3)]


# ------------------------------------------------------------------- D21 and D23


def _used_again(scene: Scene, badge: str, outcome: str, reason: str) -> list[SimulatedRecord]:
    start, door = scene.at(480, 1100), scene.rng.choice(scene.site.main_doors)
    count = scene.rng.randrange(1, 4) if outcome == "denied" else 1
    return [
        scene.log.badge(start + n * 9_000, badge, door, outcome=outcome, reason=reason) for n in range(count)
    ]


def _terminated_denied(scene: Scene) -> list[SimulatedRecord]:
    return _used_again(scene, scene.badge, "denied", "disabled")


def _terminated_granted(scene: Scene) -> list[SimulatedRecord]:
    return _used_again(scene, scene.badge, "granted", "")


def _lost_denied(scene: Scene) -> list[SimulatedRecord]:
    card = scene.who.badges[0]
    return _used_again(scene, card.id, "denied", card.states[-1][1])


def _lost_granted(scene: Scene) -> list[SimulatedRecord]:
    return _used_again(scene, scene.who.badges[0].id, "granted", "")


def _all_reads(scene: Scene) -> list[SimulatedRecord]:
    """Label what the person did anyway."""
    return [*scene.reads]


def _visits_on_leave(scene: Scene) -> list[SimulatedRecord]:
    time_ms, door = scene.at(600, 900), scene.site.door("main-1")
    records: list[SimulatedRecord] = [scene.log.badge(time_ms, scene.badge, door)]
    if door.has_exit_reader:
        records.append(scene.log.badge(time_ms + HOUR_MS, scene.badge, door, "out"))
    return records


# --------------------------------------------------------------------------- D26


def _night(scene: Scene, shorts: tuple[str, ...]) -> list[SimulatedRecord]:
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


def _night_visit(scene: Scene) -> list[SimulatedRecord]:
    critical = [s for s in scene.who.doors if scene.site.door(s).criticality >= 3]
    return _night(scene, tuple(scene.rng.sample(critical, min(2, len(critical)))))


def _night_office(scene: Scene) -> list[SimulatedRecord]:
    return _night(scene, (scene.who.interior,))


def _in_the_night(scene: Scene) -> list[SimulatedRecord]:
    """Label the ordinary visit of somebody on call, or of an early bird."""
    return [r for r in scene.reads if r.time_ms < scene.log.at(scene.site, 420)]


# --------------------------------------------------------------------------- D28


def _door(scene: Scene) -> Door:
    return next(d for d in scene.site.doors if d.id == scene.scenario.door)


def _uses(scene: Scene) -> list[int]:
    door = scene.scenario.door
    return [r.time_ms for r in scene.log.records if not isinstance(r, LoginRecord) and r.door == door]


def _undisturbed(scene: Scene, first: float, last: float, span_ms: int = 0) -> int:
    """A time at which nobody uses the door for a while before, nor during *span_ms* after it."""
    uses = _uses(scene)
    for _ in range(300):
        time_ms = scene.at(first, last)
        if all(not -MARGIN_MS <= use - time_ms <= MARGIN_MS + span_ms for use in uses):
            return time_ms
    return scene.at(60, 90)


def _forced(scene: Scene) -> list[SimulatedRecord]:
    time_ms, door = _undisturbed(scene, 60, 1380), _door(scene)
    records: list[SimulatedRecord] = [scene.log.door(time_ms, door, "forced")]
    scene.log.door(time_ms + 15_000, door, "closed")
    return records


def _after_grant(scene: Scene) -> list[SimulatedRecord]:
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
    forced = scene.log.door(grant.time_ms, _door(scene), "forced")
    forced.time_ms = grant.time_ms + 2_000
    return [grant, forced]


def _after_rex(scene: Scene) -> list[SimulatedRecord]:
    time_ms, door = _undisturbed(scene, 480, 1200), _door(scene)
    return [scene.log.door(time_ms, door, "rex"), scene.log.door(time_ms + 1_800, door, "forced")]


def _held(scene: Scene) -> list[SimulatedRecord]:
    time_ms, door = _undisturbed(scene, 480, 1200), _door(scene)
    return [scene.log.door(time_ms, door, "rex"), scene.log.door(time_ms + 40_000, door, "held")]


def _faulty_contact(scene: Scene) -> list[SimulatedRecord]:
    """Five reports after requests to exit show that the contact is bad; the sixth has no request."""
    start, door = scene.at(480, 700), _door(scene)
    records: list[SimulatedRecord] = []
    for n in range(6):
        time_ms = start + n * 12 * MINUTE_MS
        if n < 5:
            scene.log.door(time_ms, door, "rex")
        records.append(scene.log.door(time_ms + 2_000, door, "forced"))
    return records


_WRITE: dict[str, Write] = {
    "while-elsewhere": _while_elsewhere, "late-upload": _morning, "remote-desktop": _remote_desktop,
    "temp-badge": _morning, "overnight": _overnight, "behind-vpn": _behind_vpn, "failed": _failed,
    "far-login": _far_login, "vpn-abroad": _through("vpn-egress"), "relay": _through("private-relay"),
    "mobile": _through("mobile-carrier"), "hosting": _through("cloud-hosting"), "near": _near, "wide-radius": _wide,
    "far-failure": _far_failure, "far-token": _far_token,
    "clone-far": _clone_far, "clone-campus": _clone_campus, "flight": _flight, "not-taken": _not_taken,
    "skew": _skew, "vestibule": _vestibule,
    "burst": _burst, "four-denials": _four_denials, "faulty-reader": _faulty_reader, "slow-denials": _slow_denials,
    "probing": _probing, "joiner": _joiner, "two-doors": _two_doors, "slow-doors": _slow_doors, "one-door": _one_door,
    "terminated-denied": _terminated_denied, "terminated-granted": _terminated_granted, "last-day": _all_reads,
    "on-leave": _visits_on_leave, "rehired": _all_reads,
    "lost-denied": _lost_denied, "lost-granted": _lost_granted, "found": _all_reads, "before-lost": _all_reads,
    "temp-while-lost": _all_reads,
    "night-visit": _night_visit, "on-call": _in_the_night, "early-bird": _in_the_night, "night-office": _night_office,
    "forced": _forced, "after-grant": _after_grant, "after-rex": _after_rex, "held": _held,
    "faulty-contact": _faulty_contact,
}  # fmt: skip
