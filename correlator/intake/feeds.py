"""A feed file, and the mapping that it makes of a source's records: `Feed.map`.

    name: badge
    topic: badge-events
    format: avro                  # avro | json
    framing: confluent            # none | confluent | single-object; unless said: Avro confluent, JSON none
    schema: badge-event           # the schema to read with; without it, the writer's
    size_max: 1048576             # bytes of a value
    kind: access                  # access | door | login, or a value: its enum gives these, heartbeat, ignore
    id: event_id                  # value or list: what makes an event the same when it comes again; or offset
    source: controller_id         # what may fall silent: controller, gateway, connector
    time: {path: occurred_at, convert: {epoch: ms}}
    zone: Europe/Lisbon           # of local times, unless their converter says it; or `site`: the site's own
    timing: {delay: 30s, bound: 2m, quiet: 1m, silence_max: 12h, silence_max_business_hours: 4h,
             site_silence_max: 14h, site_silence_max_business_hours: 30m}
    fields:                       # the names of `canonical.CANONICAL`
      credential.id: badge_id
      access.outcome: {path: outcome, convert: {enum: {GRANTED: granted, DENIED: denied}}}
    raw: [Channel, event.code]    # fields of the record to keep for rules, or true: all. Default: none
    samples: ...                  # records and what they must become: `samples.py`

Values are those of `values.py`: a path, joined paths or a constant, and converters.

The file becomes closures once, at load. Mapping is total: every record gives events or a `Reject`.

May not know: files, sites, people, arrival.
"""

from __future__ import annotations

import re

import msgspec

from correlator.event import DAY_MS, Kind
from correlator.intake.canonical import CANONICAL, REQUIRED, Check, check_text, check_time
from correlator.intake.decode import (
    FORMATS,
    FRAMINGS,
    SIZE_MAX,
    Decode,
    Format,
    Framing,
    Schemas,
    Wire,
    make_decoder,
)
from correlator.intake.document import Fields, Report, nearest
from correlator.intake.general import FEED_NAME, FEED_NAME_SAID
from correlator.intake.instants import SITE, parse_zone
from correlator.intake.mapped import Heartbeat, Mapped
from correlator.intake.mapping import FEED_KINDS, HEARTBEAT, IGNORE, Map, Plan, Row, make_map
from correlator.intake.samples import Sample, SampleResult, read_samples, run_samples
from correlator.intake.values import Reading, Value, make_take, read_value
from correlator.problem import Lines, Path, Problem
from correlator.record import Record, Reject
from correlator.timeline.raw import ALL, kept_fields
from correlator.timeline.settings import FeedTiming

OFFSET = "offset"

_KEYS = (
    "name",
    "description",
    "topic",
    "format",
    "framing",
    "schema",
    "size_max",
    "kind",
    "id",
    "source",
    "time",
    "zone",
    "timing",
    "fields",
    "raw",
    "samples",
)
_DURATIONS = (
    "delay",
    "bound",
    "quiet",
    "silence_max",
    "silence_max_business_hours",
    "site_silence_max",
    "site_silence_max_business_hours",
)
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
_DURATION_MAX_MS = 31 * DAY_MS
_SIZE_LIMIT = 64 << 20  # bytes: what a topic may be configured to carry


class Feed(msgspec.Struct, frozen=True):
    """A feed file, ready to use. *kind*: whose completeness it tells; *kinds*: all that it may give."""

    name: str
    topic: str
    kind: Kind
    kinds: tuple[Kind, ...]
    timing: FeedTiming
    decode: Decode
    plan: Plan
    map_decoded: Map
    samples: tuple[Sample, ...] = ()
    raw: frozenset[str] = frozenset()  # names of the record's own fields that are kept, or `ALL`

    def map(self, record: Record) -> Mapped | Heartbeat | Reject | None:
        """The event or heartbeat of *record*, None if it is ignored; or why it cannot be used. Total."""
        decoded = self.decode(record)
        return decoded if isinstance(decoded, Reject) else self.map_decoded(decoded, record)

    def kept(self, record: Record) -> dict[str, object]:
        """What rules may ask of *record* itself; nothing of one that cannot be read."""
        decoded = self.decode(record)
        return {} if isinstance(decoded, Reject) else dict(kept_fields(decoded, self.raw))

    def test(self) -> list[SampleResult]:
        """What the feed's own samples say."""
        return run_samples(self.samples, self.map)


def parse_feed(
    document: object, lines: Lines, file: str, schemas: Schemas
) -> tuple[Feed | None, list[Problem]]:
    """The feed that *document* describes, None if it has errors; and all problems, warnings among them."""
    report = Report(lines)
    if not isinstance(document, dict):
        return None, [Problem(file, 1, 1, "", "a feed file has fields: name, topic, format, kind, ...")]
    fields = Fields(document, (), report, _KEYS)
    name = _matching(fields, "name", FEED_NAME, FEED_NAME_SAID)
    topic = _matching(fields, "topic", _TOPIC, "letters, digits, dot, hyphen and underscore, at most 249")
    wire = _wire(fields, schemas)
    reading = _reading(fields, lines, wire, schemas)
    kinds, kind = _kinds(fields, reading)
    plan = _plan(fields, name, (kinds, kind), reading)
    timing = _timing(fields, FeedTiming(name, kinds[0], topic))
    raw = _raw(fields)
    samples = read_samples(fields, wire, topic, schemas)
    if not samples:
        report.problems.append(lines.problem((), "no samples: nothing tests this feed", "warning"))
    if plan is None or report.has_errors:
        return None, report.problems
    decode = make_decoder(wire, schemas)
    feed = Feed(name, topic, kinds[0], kinds, timing, decode, plan, make_map(plan), samples, raw)
    return feed, report.problems


def _matching(fields: Fields, name: str, pattern: re.Pattern[str], what: str) -> str:
    text = fields.text(name, required=True)
    if text and not pattern.match(text):
        fields.problem(name, f"{text!r} is no {name}: {what}")
    return text


# ------------------------------------------------------------------------- wire


def _wire(feed: Fields, schemas: Schemas) -> Wire:
    form: Format = "json" if feed.choice("format", FORMATS) == "json" else "avro"
    framing = _framing(feed, form)
    reader = feed.text("schema").removesuffix(".avsc")
    if form == "json" and (reader or framing == "single-object"):
        feed.problem("schema" if reader else "framing", "only Avro has this, the format is json")
    elif reader and reader not in schemas.by_name:
        known = ", ".join(schemas.by_name) or "none"
        message = f"no schema {reader!r}{nearest(reader, schemas.by_name)}; in schemas/: {known}"
        feed.problem("schema", f"{message} (with schemas/ of its own a directory does without the shipped)")
        reader = ""
    elif form == "avro" and framing == "none" and not reader:
        feed.problem("", "Avro without framing does not say its schema: name it in `schema`")
    return Wire(form, framing, reader, feed.whole("size_max", 1, _SIZE_LIMIT, SIZE_MAX))


def _framing(feed: Fields, form: Format) -> Framing:
    default: Framing = "confluent" if form == "avro" else "none"
    chosen = feed.choice("framing", FRAMINGS, default)
    return next((framing for framing in FRAMINGS if framing == chosen), default)


def _reading(feed: Fields, lines: Lines, wire: Wire, schemas: Schemas) -> Reading:
    zone = feed.text("zone")
    if zone and zone != SITE and parse_zone(zone) is None:
        feed.problem("zone", f"{zone!r} is no time zone of the IANA data base, like Europe/Lisbon, nor site")
        zone = ""
    schema = schemas.by_name.get(wire.reader) if wire.format == "avro" else None
    if schema is None:
        return Reading(feed.report, lines, zone=zone)
    fields = schema.get("fields")
    assert isinstance(fields, list), "a record schema has fields"
    return Reading(feed.report, lines, tuple(field["name"] for field in fields), zone)


# ---------------------------------------------------------------------- mapping


def _kinds(feed: Fields, reading: Reading) -> tuple[tuple[Kind, ...], Row | None]:
    """The kinds that the feed may give, most telling first, and how a record's is found."""
    written = feed.value("kind")
    if not isinstance(written, dict):
        chosen = feed.choice("kind", FEED_KINDS)
        kinds = tuple(kind for kind in FEED_KINDS if kind == chosen)
        return kinds or FEED_KINDS[:1], Row(
            "kind", lambda _: chosen, "kind", lambda _: chosen
        ) if kinds else None
    value = read_value(written, ("kind",), reading)
    if value is None:
        return FEED_KINDS[:1], None
    words = (
        set(value.chain.words.values()) if value.chain is not None and value.chain.words else set[object]()
    )
    kinds = tuple(kind for kind in FEED_KINDS if kind in words)
    unknown = words - {*FEED_KINDS, HEARTBEAT, IGNORE}
    if not kinds or unknown:
        choices = ", ".join([*FEED_KINDS, HEARTBEAT, IGNORE])
        feed.problem("kind", f"chosen by a value, the kind needs an enum that gives: {choices}")
        return FEED_KINDS[:1], None
    return kinds, _row("kind", value, lambda found: found, reading)


def _plan(
    feed: Fields, name: str, kinds: tuple[tuple[Kind, ...], Row | None], reading: Reading
) -> Plan | None:
    source = _text_row(feed, "source", reading)
    time = _time_row(feed, reading)
    parts = _id_rows(feed, reading)
    rows = _field_rows(feed, kinds[0], reading)
    if kinds[1] is None or source is None or time is None:
        return None
    return Plan(name, kinds[1], time, source, parts, rows)


def _text_row(feed: Fields, name: str, reading: Reading) -> Row | None:
    if not feed.has(name):
        feed.problem(name, f"{name} is missing")
        return None
    value = read_value(feed.value(name), (name,), reading)
    return None if value is None else _row(name, value, check_text, reading)


def _row(name: str, value: Value, check: Check, reading: Reading) -> Row:
    is_text = bool(value.key) and check is check_text and value.chain is None and value.default is None
    take = make_take(value, check, reading.report)
    return Row(name, take, value.said, value.get, value.key, is_text)


def _time_row(feed: Fields, reading: Reading) -> Row | None:
    if not feed.has("time"):
        feed.problem("time", "time is missing")
        return None
    value = read_value(feed.value("time"), ("time",), reading)
    if value is None:
        return None
    if not value.gives_time or value.default is not None:
        feed.problem("time", "a time needs one of the converters epoch, iso and local, and has no default")
        return None
    return _row("time", value, check_time, reading)


def _id_rows(feed: Fields, reading: Reading) -> tuple[Row, ...] | None:
    """What an event's id is made of; None for the offset of its record."""
    written = feed.value("id")
    if written == OFFSET:
        message = (
            "what is delivered twice counts twice: name the fields that identify an event, if there are any"
        )
        reading.report.problems.append(reading.lines.problem(("id",), message, "warning"))
        return None
    if not written:
        feed.problem(
            "id", "id is missing: the fields that make an event the same when it comes again, or `offset`"
        )
        return None
    rows: list[Row] = []
    parts = list(enumerate(written)) if isinstance(written, list) else [(-1, written)]
    for index, part in parts:
        value = read_value(part, ("id",) if index < 0 else ("id", index), reading)
        if value is not None:
            rows.append(_row("id", value, check_text, reading))
    return tuple(rows)


def _field_rows(feed: Fields, kinds: tuple[Kind, ...], reading: Reading) -> tuple[Row, ...]:
    fields = feed.part("fields")
    rows: list[Row] = []
    for name in fields.keys() if fields is not None else []:
        row = CANONICAL.get(name)
        path: Path = ("fields", name)
        if row is None:
            reading.report.problem(path, f"unknown field {name!r}{nearest(name, CANONICAL)}")
        elif not set(row.kinds) & set(kinds):
            reading.report.problem(
                path, f"{name} is for {' and '.join(row.kinds)}, the feed is {', '.join(kinds)}"
            )
        else:
            value = read_value(fields.value(name) if fields is not None else None, path, reading)
            if value is not None:
                rows.append(_row(name, value, row.check, reading))
    written = set(fields.keys()) if fields is not None else set()
    for kind in kinds:
        for group in REQUIRED[kind]:
            if not written & set(group):
                feed.problem("fields", f"{' or '.join(group)} is missing: {kind} events need it")
    if "login" in kinds and not written & {"login.logon_type", "login.is_interactive"}:
        message = "without login.logon_type or login.is_interactive no login counts as interactive"
        reading.report.problems.append(reading.lines.problem(("fields",), message, "warning"))
    return tuple(rows)


def _raw(feed: Fields) -> frozenset[str]:
    written = feed.value("raw")
    if isinstance(written, bool):
        return frozenset({ALL} if written else ())
    return frozenset(name for _, name in feed.texts("raw"))


# ----------------------------------------------------------------------- timing


def _timing(feed: Fields, default: FeedTiming) -> FeedTiming:
    fields = feed.part("timing", _DURATIONS)
    if fields is None:
        return default
    durations = {f"{name}_ms": fields.duration(name, _DURATION_MAX_MS) for name in _DURATIONS}
    given = {name: duration_ms for name, duration_ms in durations.items() if duration_ms is not None}
    return msgspec.structs.replace(default, **given)
