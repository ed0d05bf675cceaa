"""Scenarios of D01, D05 and D12: a body and an account that cannot both be where they seem."""

from __future__ import annotations

from collections.abc import Sequence

from correlator.event import HOUR_MS, MINUTE_MS, SECOND_MS
from correlator.simulate.days import lan_address, workstation
from correlator.simulate.emit import BadgeRecord, DoorRecord, LoginRecord, SimulatedRecord
from correlator.simulate.geography import FAR_ISPS, NEAR_ISPS, WIDE_ISPS, Site
from correlator.simulate.scene import Scene, Write

# --------------------------------------------------------------------------- D01


def _while_elsewhere(scene: Scene) -> Sequence[SimulatedRecord]:
    time_ms = scene.at(690, 1170)
    records: list[SimulatedRecord] = [scene.console(time_ms, scene.rng.choice(("console", "unlock")))]
    if scene.rng.random() < 0.4:
        records.append(scene.console(time_ms + 20 * MINUTE_MS, "unlock"))
    return records


def _morning(scene: Scene) -> Sequence[SimulatedRecord]:
    """Label what the person did anyway: the first reads and the logins that rest on them."""
    return sorted((r for r in scene.own if not isinstance(r, DoorRecord)), key=lambda r: r.time_ms)[:6]


def _remote_desktop(scene: Scene) -> Sequence[SimulatedRecord]:
    time_ms = scene.at(600, 1000)
    ip = scene.address(f"lan-{scene.site.id}") if scene.rng.random() < 0.5 else scene.address("vpn-pool")
    return [
        scene.log.login(
            time_ms, scene.who.account, ip, "remote_interactive",
            device=workstation(scene.who, scene.site), application="workstation",
        )
    ]  # fmt: skip


def _overnight(scene: Scene) -> Sequence[SimulatedRecord]:
    last = scene.reads[-1]
    return [last, scene.console(last.time_ms + 9 * HOUR_MS + scene.rng.randrange(HOUR_MS // 2), "unlock")]


def _behind_vpn(scene: Scene) -> Sequence[SimulatedRecord]:
    return [r for r in scene.own if isinstance(r, LoginRecord) and r.logon_type == "unlock"]


def _failed(scene: Scene) -> Sequence[SimulatedRecord]:
    time_ms, ip = scene.at(600, 1000), lan_address(scene.log, scene.who, scene.site)
    return [
        scene.log.login(
            time_ms + n * 7 * SECOND_MS, scene.who.account, ip, "console",
            outcome="failure", reason="bad_password",
            device="SHARED-WS-01", application="workstation",
        )
        for n in range(2)
    ]  # fmt: skip


# --------------------------------------------------------------------------- D05


def _login_after_read(
    scene: Scene, network: str, *, outcome: str = "success", is_interactive: bool = True
) -> Sequence[SimulatedRecord]:
    read = scene.rng.choice(scene.reads)
    time_ms = read.time_ms + scene.rng.randrange(15 * MINUTE_MS, 80 * MINUTE_MS)
    login = scene.log.login(
        time_ms, scene.who.account, scene.address(network), "web", mfa="push", outcome=outcome,
        reason="bad_password" if outcome == "failure" else "", is_interactive=is_interactive,
        device=f"UNKNOWN-{scene.rng.randrange(1000)}", application="mail",
    )  # fmt: skip
    return [login]


def _far_login(scene: Scene) -> Sequence[SimulatedRecord]:
    return _login_after_read(scene, scene.rng.choice(FAR_ISPS))


def _far_failure(scene: Scene) -> Sequence[SimulatedRecord]:
    return _login_after_read(scene, scene.rng.choice(FAR_ISPS), outcome="failure")


def _far_token(scene: Scene) -> Sequence[SimulatedRecord]:
    return _login_after_read(scene, scene.rng.choice(FAR_ISPS), is_interactive=False)


def _through(network: str) -> Write:
    return lambda scene: _login_after_read(scene, network)


def _near(scene: Scene) -> Sequence[SimulatedRecord]:
    return _login_after_read(scene, NEAR_ISPS[scene.site.id])


def _wide(scene: Scene) -> Sequence[SimulatedRecord]:
    return _login_after_read(scene, WIDE_ISPS[scene.site.id])


# --------------------------------------------------------------------------- D12


def _elsewhere(scene: Scene) -> Site:
    return scene.rng.choice([site for site in scene.log.sites if site.number != scene.site.number])


def _clone_far(scene: Scene) -> Sequence[SimulatedRecord]:
    read = scene.rng.choice(scene.reads)
    time_ms = read.time_ms + scene.rng.randrange(20 * MINUTE_MS, 90 * MINUTE_MS)
    return [scene.log.badge(time_ms, scene.badge, scene.rng.choice(_elsewhere(scene).main_doors))]


def _floor_read(scene: Scene) -> BadgeRecord:
    floors = [r for r in scene.reads if "floor" in r.door]
    if floors:
        return scene.rng.choice(floors)
    first = scene.reads[0]
    return scene.log.badge(first.time_ms + 40 * MINUTE_MS, scene.badge, scene.site.door("floor-1"))


def _clone_campus(scene: Scene) -> Sequence[SimulatedRecord]:
    time_ms = _floor_read(scene).time_ms + scene.rng.randrange(45, 90) * SECOND_MS
    return [scene.log.badge(time_ms, scene.badge, scene.site.door("lab-2"))]


def _flight(scene: Scene) -> Sequence[SimulatedRecord]:
    """Badge at home early, at the other near site in the afternoon."""
    other = scene.log.sites[1 - scene.site.number]
    leaves_ms = scene.at(370, 400)
    arrives_ms = leaves_ms + scene.rng.randrange(325, 400) * MINUTE_MS
    records: list[SimulatedRecord] = [scene.log.badge(leaves_ms, scene.badge, scene.site.door("main-1"))]
    records.append(scene.log.badge(arrives_ms, scene.badge, other.door("main-2")))
    records.append(scene.console(arrives_ms + 9 * MINUTE_MS, "console", other))
    return records


def _not_taken(scene: Scene) -> Sequence[SimulatedRecord]:
    """Granted at a door far away that nobody opened: a test of the installer, with the person's number."""
    read = scene.rng.choice(scene.reads)
    door = scene.rng.choice(_elsewhere(scene).main_doors)
    return [scene.log.badge(read.time_ms + 30 * MINUTE_MS, scene.badge, door, taken="not_taken")]


def _skew(scene: Scene) -> Sequence[SimulatedRecord]:
    """A brisk walk to the laboratories that is a little too short by the clocks of the controllers."""
    read = _floor_read(scene)
    time_ms = read.time_ms + scene.rng.randrange(290, 350) * SECOND_MS
    lab = scene.log.badge(time_ms, scene.badge, scene.site.door("lab-2"))
    lab.time_ms = time_ms
    return [read, lab]


def _vestibule(scene: Scene) -> Sequence[SimulatedRecord]:
    first = scene.reads[0].time_ms
    outer, inner = scene.site.main_doors
    return [
        scene.log.badge(first - 6_000, scene.badge, outer),
        scene.log.badge(first - 3_500, scene.badge, inner),
    ]


CONTRADICTIONS: dict[str, Write] = {
    "while-elsewhere": _while_elsewhere,
    "late-upload": _morning,
    "remote-desktop": _remote_desktop,
    "temp-badge": _morning,
    "overnight": _overnight,
    "behind-vpn": _behind_vpn,
    "failed": _failed,
    "far-login": _far_login,
    "vpn-abroad": _through("vpn-egress"),
    "relay": _through("private-relay"),
    "mobile": _through("mobile-carrier"),
    "hosting": _through("cloud-hosting"),
    "near": _near,
    "wide-radius": _wide,
    "far-failure": _far_failure,
    "far-token": _far_token,
    "clone-far": _clone_far,
    "clone-campus": _clone_campus,
    "flight": _flight,
    "not-taken": _not_taken,
    "skew": _skew,
    "vestibule": _vestibule,
}
