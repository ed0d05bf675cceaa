from __future__ import annotations

from collections.abc import Iterable
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.event import (
    DAY_MS,
    FOREVER,
    HOUR_MS,
    MINUTE_MS,
    NEVER,
    SECOND_MS,
    Event,
    Kind,
    entity_key,
    event_id,
    partition_of,
)
from correlator.frame import EVENTS_MAX, Arrival, Frame, SourceMark, decode_frame, encode_frame
from correlator.intake.arrival import NO_TIMESTAMP, decode_arrival
from correlator.intake.intake import Intake, IntakeConfig, Taken
from correlator.intake.mapped import Heartbeat, Mapped
from correlator.intake.people import People
from correlator.record import Record, Reject
from correlator.timeline.marks import Marks
from correlator.timeline.settings import FeedTiming, Settings
from tests.intake.company import identity, ms, networks, people, sites

TOPIC, KEYED = "badge-events", 4
NOW = ms("2026-01-09T08:30")
SITES, NETWORKS = sites(), networks()
READERS = {"lis-1": "lis-main-in", "bos-1": "bos-main-in"}
WHERE = {"lis-1": "lisbon", "bos-1": "boston"}
DOORS = {"lis-1": "lis-main", "bos-1": "bos-main"}


class Plain:
    """A feed whose records are `Mapped` as JSON."""

    timing = FeedTiming("badge", "access", "badge-events")

    def map(self, record: Record) -> Mapped | Reject | None:
        try:
            return msgspec.json.decode(record.value or b"", type=Mapped)
        except msgspec.DecodeError as error:
            return Reject("decode", "bad_json", str(error))


def config(partitions: int = KEYED) -> IntakeConfig:
    return IntakeConfig({TOPIC: Plain()}, SITES, NETWORKS, partitions, bundle="b1")


def intake(inputs: int = 1, *, known: People | None = None, metadata: str = "") -> Intake:
    made = Intake(config(), known or People(SITES))
    for q in range(inputs):
        made.assign(TOPIC, q, inputs, metadata)
    return made


def read(number: int, arrival_ms: int = NOW, q: int = 0, **fields: object) -> Record:
    """The record of one badge read at the main door in Lisbon."""
    mapped = Mapped(arrival_ms, str(number), "access", "lis-1", "badge", "17", "card", reader="lis-main-in")
    value = msgspec.json.encode(msgspec.structs.replace(mapped, **fields))
    return Record(TOPIC, q, number, arrival_ms, b"17", value)


def rows_of(taken: Taken) -> list[tuple[str, Event]]:
    return [row for _, frame in taken.frames for row in frame.rows]


def arrivals_of(taken: Taken) -> dict[int, set[Arrival]]:
    return {p: set(frame.arrivals) for p, frame in taken.frames if frame.arrivals}


def test_records_become_frames_of_the_partitions_that_own_their_entities() -> None:
    taken = intake(known=people(identity("e1", badges=[{"id": "17"}]))).intake_step([read(1)], NOW)
    found = {(partition, key) for partition, frame in taken.frames for key, _ in frame.rows}
    assert found == {(partition_of(key, KEYED), key) for key in ("identity:e1", "door:lis-main")}
    assert all(frame.bundle == "b1" for _, frame in taken.frames)
    assert all(decode_frame(encode_frame(frame)) == frame for _, frame in taken.frames)


def test_a_frame_holds_at_most_a_thousand_events_and_speaks_of_time_in_the_last_one() -> None:
    badges = [str(n) for n in range(50)]
    taken = intake().intake_step([read(n, credential=badges[n % 50]) for n in range(2_250)], NOW)
    sizes = []
    for partition in range(KEYED):
        frames = [frame for number, frame in taken.frames if number == partition]
        sizes += [len(frame.rows) for frame in frames]
        assert [bool(frame.arrivals or frame.sources) for frame in frames[:-1]] == [False] * (len(frames) - 1)
        assert frames[-1].arrivals
        assert frames[-1].sources
    assert sum(sizes) == 4_500
    assert max(sizes) == EVENTS_MAX


def test_rows_stand_in_order_of_arrival_over_all_inputs() -> None:
    records = [read(1, NOW, 0), read(2, NOW + 50, 0), read(3, NOW + 20, 1)]
    rows = rows_of(intake(2).intake_step(records, NOW + 99))
    ids = [event.id for key, event in rows if key.startswith("door:")]
    assert ids == [event_id("lis-1", str(n)) for n in (1, 3, 2)]


def test_arrival_is_clamped_to_the_clock_and_never_goes_back() -> None:
    made = intake()
    assert made.intake_step([read(1, NOW + HOUR_MS, time_ms=NOW)], NOW).metadata == {(TOPIC, 0): f"a1:{NOW}"}
    assert made.intake_step([read(2, NOW - 5_000)], NOW + 1).metadata == {(TOPIC, 0): f"a1:{NOW}"}
    moved = intake(metadata=f"a1:{NOW}")
    assert moved.intake_step([read(3, NOW - 9_000)], NOW + 2).metadata == {(TOPIC, 0): f"a1:{NOW}"}


def test_a_time_ahead_of_arrival_is_clamped_and_counted_unless_it_comes_from_a_file() -> None:
    ahead = read(1, NOW, time_ms=NOW + HOUR_MS)
    taken = intake().intake_step([ahead], NOW)
    assert {(event.time_ms, event.time_claimed_ms) for _, event in rows_of(taken)} == {(NOW, NOW + HOUR_MS)}
    assert taken.counters["correlator_events_clamped_total", "badge"] == 1
    from_file = msgspec.structs.replace(ahead, timestamp_ms=NO_TIMESTAMP)
    taken = intake().intake_step([from_file], FOREVER)
    assert {(event.time_ms, event.time_claimed_ms) for _, event in rows_of(taken)} == {(NOW + HOUR_MS, None)}
    assert taken.metadata == {(TOPIC, 0): f"a1:{NOW + HOUR_MS}"}


def test_a_bad_record_is_a_dead_letter_with_its_reason_and_the_rest_goes_on() -> None:
    bad = [
        msgspec.structs.replace(read(1), value=b"{"),
        read(2, reader="nowhere"),
        read(3, time_ms=5),
        msgspec.structs.replace(read(4), value=None),
    ]
    taken = intake().intake_step([*bad, read(5)], NOW)
    assert [(record.offset, reject.reason) for record, reject in taken.dead_letters] == [
        (1, "bad_json"),
        (2, "unknown_reader"),
        (3, "time_out_of_range"),
        (4, "bad_json"),
    ]
    assert {event.id for _, event in rows_of(taken)} == {event_id("lis-1", "5")}
    assert taken.counters["correlator_dead_letters_total", "intake", "bad_json"] == 2
    assert taken.counters["correlator_identities_unresolved_total", "badge"] == 1
    assert taken.counters["correlator_events_total", "access"] == 1


def test_a_topic_without_a_feed_is_a_dead_letter() -> None:
    made = intake()
    made.assign("other", 0, 1)
    taken = made.intake_step([msgspec.structs.replace(read(1), topic="other")], NOW)
    assert [reject.reason for _, reject in taken.dead_letters] == ["unknown_topic"]


def test_a_tick_states_the_clock_for_what_is_caught_up_to_every_partition() -> None:
    made = intake(2)
    made.intake_step([read(1, NOW, 0), read(2, NOW, 1)], NOW)
    taken = made.tick(NOW + 1_000, {(TOPIC, 0)}, paused={(TOPIC, 1)})
    stated = {Arrival(TOPIC, 0, 2, NOW + 1_000), Arrival(TOPIC, 1, 2, NOW, is_paused=True)}
    assert arrivals_of(taken) == dict.fromkeys(range(KEYED), stated)
    assert taken.metadata == {(TOPIC, 0): f"a1:{NOW + 1_000}", (TOPIC, 1): f"a1:{NOW}"}


def test_an_input_of_which_nothing_is_known_is_not_stated() -> None:
    made = intake()
    assert made.tick(NOW, set()).frames == []
    assert made.close_mark().frames == []
    assert arrivals_of(made.tick(NOW, {(TOPIC, 0)}))[0] == {Arrival(TOPIC, 0, 1, NOW)}


def test_a_new_source_is_told_to_all_at_once_then_once_a_second_of_arrival() -> None:
    made = intake()
    first = made.intake_step([read(1, NOW), read(2, NOW, time_ms=NOW - 30_000)], NOW)
    marks = {p: frame.sources for p, frame in first.frames if frame.sources}
    assert marks.keys() == set(range(KEYED))
    [mark] = marks[0]
    assert (mark.source, mark.feed, mark.site, mark.q) == ("lis-1", "badge", "lisbon", 0)
    assert (mark.event_max_ms, mark.lag_min_ms, mark.count, mark.heard_ms) == (NOW, 0, 2, NOW)
    soon = made.intake_step([read(3, NOW + 900)], NOW + 900)
    assert not any(frame.sources for _, frame in soon.frames)
    later = made.intake_step([read(4, NOW + 1_000)], NOW + 1_000)
    assert {frame.sources[0].count for _, frame in later.frames if frame.sources} == {2}


def test_what_waits_to_be_told_of_a_source_goes_out_with_the_tick() -> None:
    made = intake()
    made.intake_step([read(1, NOW)], NOW)
    made.intake_step([read(2, NOW + 10)], NOW + 10)
    assert {frame.sources[0].event_max_ms for _, frame in made.tick(NOW + 20, set()).frames} == {NOW + 10}
    assert not any(frame.sources for _, frame in made.tick(NOW + 30, set()).frames)


def test_in_a_bounded_read_what_is_drained_has_arrived_as_far_as_the_others() -> None:
    made = intake(3)
    made.intake_step([read(1, NOW, 0), read(2, NOW + HOUR_MS, 1)], FOREVER)
    taken = made.advance_drained({(TOPIC, 2), (TOPIC, 0)})
    assert taken.metadata == {(TOPIC, q): f"a1:{NOW + HOUR_MS}" for q in range(3)}


def test_the_closing_mark_states_the_last_arrival_and_half_a_horizon() -> None:
    made = intake(3)
    made.intake_step([read(1, NOW, 0), read(2, NOW + HOUR_MS, 1)], FOREVER)
    end_ms = NOW + HOUR_MS + DAY_MS // 2
    assert arrivals_of(made.close_mark())[3] == {Arrival(TOPIC, q, 3, end_ms) for q in range(3)}


def test_identities_become_person_events_of_their_timelines() -> None:
    made = intake()
    records = [
        Record("correlator.identities", 0, 4, NOW, b"e1", identity("e1", badges=[{"id": "17"}])),
        Record("correlator.identities", 0, 5, NOW, b"e2", b"{"),
    ]
    taken = made.learn(records, NOW + 1)
    [(key, event)] = rows_of(taken)
    assert (key, event.kind, event.time_ms) == ("identity:e1", "person", NOW - DAY_MS + MINUTE_MS)
    assert [reject.reason for _, reject in taken.dead_letters] == ["bad_identity"]
    assert not any(frame.arrivals for _, frame in taken.frames)
    keys = {key for key, _ in rows_of(made.intake_step([read(1)], NOW))}
    assert keys == {"identity:e1", "door:lis-main"}


# ------------------------------------------------- complete means complete (decision 6)

BOUND_MS, QUIET_MS, INPUTS, PARTS = 0, 5 * SECOND_MS, 3, 2
KIND: Kind = "access"
TIMING = FeedTiming("badge", KIND, TOPIC, BOUND_MS, QUIET_MS, *([40 * SECOND_MS] * 4))


class World:
    """A raw topic, two intakes that pass its partitions to and fro, and the keyed partitions' marks."""

    def __init__(self, random: Random) -> None:
        self.random, self.clock, self.number = random, NOW, 0
        self.raw: list[list[Record]] = [[] for _ in range(INPUTS)]
        self.last = dict.fromkeys(READERS, 0)
        self.due: dict[tuple[int, str], list[tuple[int, str]]] = {}  # (partition, site) -> (event time, id)
        self.delivered: set[tuple[int, str]] = set()  # (partition, id)
        self.marks = [Marks(Settings(feeds=(TIMING,), sites=SITES.timing())) for _ in range(PARTS)]
        self.committed: list[tuple[int, str]] = [(0, "")] * INPUTS
        self.owner = [0] * INPUTS
        self.intakes = [self.begun(who) for who in range(2)]

    def begun(self, who: int) -> Intake:
        """An intake that knows what is committed and nothing else, as after any change of who owns what."""
        intake = Intake(config(PARTS), People(SITES))
        for q in range(INPUTS):
            if self.owner[q] == who:
                intake.assign(TOPIC, q, INPUTS, self.committed[q][1])
        return intake

    def produce(self) -> None:
        """One source delivers in the order of its events, at most `QUIET_MS` late, to any partition."""
        self.clock += self.random.choice([0, 1, 100, 1_000, 20_000])
        source = self.random.choice(sorted(READERS))
        time_ms = max(self.last[source], self.clock - self.random.randrange(QUIET_MS + 1))
        self.last[source], self.number = time_ms, self.number + 1
        q, badge, native = self.random.randrange(INPUTS), str(self.random.randrange(5)), str(self.number)
        mapped = Mapped(time_ms, native, KIND, source, "badge", badge, "card", reader=READERS[source])
        self.raw[q].append(Record(TOPIC, q, len(self.raw[q]), self.clock, None, msgspec.json.encode(mapped)))
        for key in (f"unresolved:badge:{badge}", entity_key("door", DOORS[source])):
            due = self.due.setdefault((partition_of(key, PARTS), WHERE[source]), [])
            due.append((time_ms, event_id(source, native)))

    def move(self, q: int) -> None:
        self.owner[q] = self.random.randrange(2)
        self.intakes = [self.begun(who) for who in range(2)]

    def step(self, who: int) -> None:
        owned = [q for q in range(INPUTS) if self.owner[q] == who]
        positions = {q: self.committed[q][0] for q in owned}
        if self.random.random() < 0.4:
            caught_up = {(TOPIC, q) for q in owned if positions[q] == len(self.raw[q])}
            taken = self.intakes[who].tick(self.clock - self.random.choice([0, 3_000]), caught_up)
        else:
            records: list[Record] = []
            for q in owned:
                batch = self.raw[q][positions[q] :][: self.random.randrange(4)]
                records += batch
                positions[q] += len(batch)
            taken = self.intakes[who].intake_step(records, self.clock)
        if self.random.random() < 0.1:  # the transaction is dropped: all begins again from what is committed
            self.intakes[who] = self.begun(who)
            return
        self.commit(positions, taken)

    def commit(self, positions: dict[int, int], taken: Taken) -> None:
        for q, position in positions.items():
            self.committed[q] = (position, taken.metadata.get((TOPIC, q), self.committed[q][1]))
        for partition, frame in taken.frames:
            self.fold(partition, frame)

    def fold(self, partition: int, frame: Frame) -> None:
        self.delivered |= {(partition, event.id) for _, event in frame.rows}
        self.marks[partition].fold(frame.arrivals, frame.sources)
        self.check(partition)

    def check(self, partition: int) -> None:
        for site in WHERE.values():
            complete_ms = self.marks[partition].complete_ms(KIND, site)
            for time_ms, number in self.due.get((partition, site), ()):
                is_there = (partition, number) in self.delivered
                assert is_there or time_ms >= complete_ms, (site, complete_ms, time_ms)

    def finish(self) -> None:
        while any(position < len(rows) for (position, _), rows in zip(self.committed, self.raw, strict=True)):
            for who in range(2):
                self.step(who)
        for who in range(2):
            self.commit({}, self.intakes[who].close_mark())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 40))
def test_complete_means_complete_whoever_owns_the_inputs(seed: int, size: int) -> None:
    random = Random(seed)
    world = World(random)
    for _ in range(4 * size):
        what = random.random()
        if what < 0.3:
            world.produce()
        elif what < 0.4:
            world.move(random.randrange(INPUTS))
        else:
            world.step(random.randrange(2))
    world.finish()
    due = {(partition, number) for (partition, _), rows in world.due.items() for _, number in rows}
    assert due == world.delivered
    assert all(marks.went_back == 0 for marks in world.marks)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(-100, 10_000)), max_size=60),
    st.lists(st.integers(1, 9), min_size=1, max_size=20),
)
def test_any_cut_into_batches_gives_the_same_events_and_arrivals(
    rows: list[tuple[int, int]], cuts: list[int]
) -> None:
    offsets = dict.fromkeys(range(3), 0)
    records = []
    for number, (q, late_ms) in enumerate(rows):
        records.append(read(number, NOW + late_ms, q, time_ms=NOW))
        offsets[q] += 1
    whole, parts = intake(3), intake(3)
    at_once = [whole.intake_step(records, NOW + 9_000)]
    in_pieces = [parts.intake_step(piece, NOW + 9_000) for piece in pieces(records, cuts)]
    assert events_of(at_once) == events_of(in_pieces)
    stated = {q: decode_arrival(text) for taken in in_pieces for q, text in taken.metadata.items()}
    assert stated == {q: decode_arrival(text) for q, text in at_once[0].metadata.items()}


def events_of(steps: Iterable[Taken]) -> list[tuple[int, str, str, int]]:
    return sorted(
        (partition, key, event.id, event.time_ms)
        for taken in steps
        for partition, frame in taken.frames
        for key, event in frame.rows
    )


def pieces(records: list[Record], cuts: list[int]) -> Iterable[list[Record]]:
    at, turn = 0, 0
    while at < len(records):
        size = cuts[turn % len(cuts)]
        yield records[at : at + size]
        at, turn = at + size, turn + 1


class Beating(Plain):
    """A record without a value is a heartbeat."""

    def map(self, record: Record) -> Mapped | Heartbeat | Reject | None:  # type: ignore[override]
        return super().map(record) if record.value else Heartbeat("lis-1", "badge")


def test_a_heartbeat_is_a_sign_of_life_and_no_event() -> None:
    made = Intake(msgspec.structs.replace(config(), feeds={TOPIC: Beating()}), People(SITES))
    made.assign(TOPIC, 0, 1)
    beat = Record(TOPIC, 0, 1, NOW, None, b"")
    taken = made.intake_step([beat], NOW)
    assert rows_of(taken) == []
    assert taken.dead_letters == []
    heard = {mark for _, frame in taken.frames for mark in frame.sources}
    assert heard == {SourceMark("lis-1", "badge", "", TOPIC, 0, NEVER, 0, 0, NOW)}
    assert len(taken.frames) == KEYED, "every partition is told"
    later = made.intake_step(
        [read(2, NOW + 5_000, time_ms=NOW + 4_000, reader="", door="", site="")], NOW + 5_000
    )
    (mark,) = {mark for _, frame in later.frames for mark in frame.sources}
    assert (mark.count, mark.lag_min_ms, mark.event_max_ms) == (1, 1_000, NOW + 4_000)


def test_the_lag_of_a_clamped_event_is_that_of_the_time_it_claimed() -> None:
    taken = intake().intake_step([read(1, time_ms=NOW + 9 * MINUTE_MS)], NOW)
    (mark,) = {mark for _, frame in taken.frames for mark in frame.sources}
    assert (mark.lag_min_ms, mark.event_max_ms) == (-9 * MINUTE_MS, NOW)
