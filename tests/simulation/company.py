"""What is fed into the simulated system: records late, doubled, out of order or unreadable; leavers."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import msgspec

from correlator.adapters.memory.log import MemoryLog
from correlator.engine.ports import TopicPartition
from correlator.event import HOUR_MS, MINUTE_MS
from correlator.intake.mapped import Mapped
from tests.intake.company import identity, ms
from tests.simulation.process import TOPICS
from tests.simulation.small import BADGES, LOGINS, RAW

START_MS = ms("2026-01-09T08:30")
PEOPLE = ("e1", "e2", "e3", "e4", "e5")
FRESH = "fresh"  # nobody hears of this one before the end
Holding = tuple[str, str | None, str | None]  # of a badge: who, from, to
READERS = ("lis-main-in", "lis-main-out", "bos-main-in", "4711")


class Company:
    def __init__(self, random: Random, log: MemoryLog) -> None:
        self.sent: list[tuple[TopicPartition, Mapped | None]] = []  # raw records; None for one that is junk
        self.hired: list[tuple[str, int]] = []  # records of identities: whose, and their offset
        self._random, self._log = random, log
        self._badges: dict[str, list[Holding]] = {}
        self._statuses: dict[str, object] = {}
        for person in (*PEOPLE, FRESH):
            self.hire(person)

    def feed(self) -> None:
        """Some more records."""
        random = self._random
        for _ in range(random.choice((0, 0, 0, 0, 0, 1, 2))):
            chance = random.random()
            if self.sent and chance < 0.15:
                where, value = random.choice(self.sent)
                self._send(where.topic, value)
            elif chance < 0.18:
                self._send(BADGES, None)
            else:
                self._send(*self._some())
        if random.random() < 0.02:
            left = {"status": "terminated", "from": "2026-01-09T08:00:00Z"}
            person = random.choice(PEOPLE)
            self._statuses[person] = [left]
            self.hire(person)
        if random.random() < 0.03:
            self._issue(random.choice(PEOPLE))

    def burst(self, person: str) -> None:
        """What must alert, whatever was before."""
        for number in range(3):
            time_ms = self._log.clock.now_ms() - number
            self._send(BADGES, _read(time_ms, f"{person}-{number}", person, "lis-main-in", "denied"))

    def _issue(self, badge: str) -> None:
        """It becomes known who held *badge* lately: somebody else since some time, or nobody, or as ever."""
        random, now_ms = self._random, self._log.clock.now_ms()
        before = {holder for holder, _, _ in self._badges[badge]}
        at = datetime.fromtimestamp((now_ms - random.randint(0, 2 * HOUR_MS)) / 1_000, UTC).isoformat()
        others = [badge, *random.sample([person for person in PEOPLE if person != badge], 2)]
        choices: list[list[Holding]] = [
            [(badge, None, None)],
            [(badge, None, at)],
            [(others[1], None, None)],
            [(badge, None, at), (others[1], at, None)],
            [(others[1], None, at), (others[2], at, None)],
            [(badge, None, None), (others[1], at, None), (others[2], None, None)],  # all of them claim it
        ]
        self._badges[badge] = random.choice(choices)
        concerned = sorted(before | {holder for holder, _, _ in self._badges[badge]})
        for person in random.sample(concerned, len(concerned)):  # records may come in any order
            self.hire(person)

    def hire(self, person: str) -> None:
        self._badges.setdefault(person, [(person, None, None)])
        badges = [
            {"id": badge, "valid_from": since, "valid_to": until}
            for badge, held in self._badges.items()
            for holder, since, until in held
            if holder == person
        ]
        statuses = self._statuses.get(person, [])
        value = identity(person, badges=badges, accounts=[{"name": person}], statuses=statuses)
        where = TopicPartition(TOPICS.identities, 0)
        offset = self._log.append(where, person.encode(), value, (), self._log.clock.now_ms())
        self.hired.append((person, offset))

    def _send(self, topic: str, value: Mapped | None) -> None:
        where = TopicPartition(topic, self._random.randrange(RAW[topic]))
        raw = b"junk" if value is None else msgspec.json.encode(value)
        self._log.append(where, None, raw, (), self._log.clock.now_ms())
        self.sent.append((where, value))

    def _some(self) -> tuple[str, Mapped]:
        random, number = self._random, str(len(self.sent))
        late_ms = random.choice((0, 0, 0, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS))
        time_ms, who = self._log.clock.now_ms() - random.randint(0, late_ms), random.choice(PEOPLE)
        if random.random() < 0.3:
            login = Mapped(time_ms, number, "login", "idp", "login", who, "account", outcome="success")
            words = str(len(self.sent) // 5)  # shapes come and go
            return LOGINS, msgspec.structs.replace(login, host="WS-7", is_interactive=True, application=words)
        outcome = random.choice(("denied", "granted", "granted"))
        return BADGES, _read(time_ms, number, who, random.choice(READERS), outcome)


def _read(time_ms: int, number: str, who: str, reader: str, outcome: str) -> Mapped:
    source = "bos-1" if reader.startswith("bos") else "lis-1"
    return Mapped(time_ms, number, "access", source, "badge", who, "card", reader=reader, outcome=outcome)
