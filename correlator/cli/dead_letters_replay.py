"""`correlator dead-letters replay`: what was refused goes back to where it came from, once it can be used.

A record that the feeds of the directory still refuse stays where it is. What is sent back arrives now. To
send it twice does no harm, for an event's id is folded once; but where a feed has `id: offset` it is another
event each time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Annotated

import msgspec
import typer

from correlator.adapters.clock import SteadyClock
from correlator.adapters.files import load_bundle
from correlator.adapters.kafka.client_logs import silence_client_logs
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.adapters.kafka.publisher import KafkaPublisher
from correlator.cli.as_json import AsJson
from correlator.cli.connection import Connection, Directory, load_connection
from correlator.cli.dead_letters import PARTITION_OFFSET, DeadLetter, dead_letter_of
from correlator.cli.exit_codes import FAILED
from correlator.cli.failing import reaching, refusing
from correlator.cli.looking import deployment
from correlator.cli.topic_records import NoSuchTopic, records_of
from correlator.engine.dead_letters import PREFIX
from correlator.engine.topics import EngineRefusal
from correlator.intake.arrival import NO_TIMESTAMP
from correlator.pipeline import Bundle
from correlator.record import Record, Reject

NUMBER = re.compile(r"[0-9]{1,18}")
NOT_RAW = "it is a frame of correlator's own: only records of feeds are replayed"

IDENTITY = "it is an identity, a newer one may be known: publish a right one (`correlator identities load`)"


class Sorted(msgspec.Struct):
    """Dead letters that can be used now, with the record to send; those that cannot, with why not."""

    usable: list[tuple[DeadLetter, Record]] = []
    refused: list[tuple[DeadLetter, str]] = []


def replay(
    directory: Directory,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="PARTITION/OFFSET; default: all.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Only these, e.g. unknown_schema.")] = "",
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only say what could be used now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send refused records back to their topic and partition, as far as the feeds of DIR take them now.

    Repair the feed, try it with --dry-run, and `correlator deploy` it first. Bytes, key and headers are as
    they were; the record arrives now. Dead letters stay in their topic until it expires: of a feed with
    `id: offset` send each once, by its ID, for twice it is two events.

    Exit codes: 0 all of them were sent, 1 some are still refused, 2 the configuration or an ID is wrong,
    3 Kafka cannot be reached.
    """
    silence_client_logs()
    with refusing():
        bundle, connection = load_bundle(directory), load_connection(directory)
    with refusing(), reaching(connection.kafka.bootstrap_servers):
        letters, partitions = _read(connection, bundle.intake.feeds, set(ids or ()), reason)
        if not is_dry:
            _check_active(directory, bundle)
        found = sort(letters, bundle, partitions)
        if not is_dry:
            _send(connection, [record for _, record in found.usable])
    _tell(found, is_dry=is_dry, as_json=as_json)
    if found.refused:
        raise typer.Exit(FAILED)


def sort(letters: Iterable[DeadLetter], bundle: Bundle, partitions: Mapping[str, int]) -> Sorted:
    """In the order in which the records were in their partitions. *partitions*: of each topic, by now."""
    found = Sorted()
    for letter in sorted(letters, key=lambda each: (each.topic, int(each.partition), int(each.offset))):
        record = Record(
            letter.topic,
            int(letter.partition),
            int(letter.offset),
            int(letter.timestamp) if NUMBER.fullmatch(letter.timestamp) else NO_TIMESTAMP,
            letter.record.key,
            letter.record.value,
            tuple(header for header in letter.record.headers if not header[0].startswith(PREFIX)),
        )
        why_not = _why_not(letter, record, bundle, partitions)
        if why_not:
            found.refused.append((letter, why_not))
        else:
            found.usable.append((letter, record))
    return found


def _why_not(letter: DeadLetter, record: Record, bundle: Bundle, partitions: Mapping[str, int]) -> str:
    """Why *record* would only be refused again; "" if it would not."""
    if letter.stage == "correlate":
        return NOT_RAW
    if letter.topic == bundle.intake.identities:
        return IDENTITY
    feed = bundle.intake.feeds.get(letter.topic)
    if feed is None:
        return f"no feed reads {letter.topic}"
    if not record.partition < partitions.get(letter.topic, 0):
        return f"there is no partition {letter.topic}/{letter.partition} any more"
    mapped = feed.map(record)
    return mapped.message if isinstance(mapped, Reject) else ""


def _check_active(directory: Directory, bundle: Bundle) -> None:
    """What is sent back is taken by the feeds in force. Ends the program where these are others."""
    with deployment(directory) as (_, _, bundles):
        active = bundles.active
        if active is not None and active.bundle != bundle.hash:
            raise EngineRefusal(
                f"the directory is bundle {bundle.hash}, but {active.bundle} is active, and would take what "
                "is sent back: `correlator deploy` the directory first. --dry-run says what could be used "
                "then."
            )


def _read(
    connection: Connection, feeds: Iterable[str], ids: set[str], reason: str
) -> tuple[list[DeadLetter], dict[str, int]]:
    """Those asked for, and how many partitions the topics of *feeds* have.

    Raises `EngineRefusal` for ids that are none, `LogTruncated`, `LogUnavailable`.
    """
    if odd := sorted(i for i in ids if PARTITION_OFFSET.fullmatch(i) is None):
        raise EngineRefusal(f"{odd[0]!r} is not PARTITION/OFFSET, as list shows it")
    topic = connection.topics.dead_letters
    try:
        with closing(KafkaLogReader(connection.kafka)) as reader:
            records = records_of(reader, topic, SteadyClock(), from_beginning=True, follows=False)
            letters = [dead_letter_of(record) for record in records]
            partitions = {name: reader.partitions(name) for name in feeds}
    except NoSuchTopic as error:
        raise EngineRefusal(str(error)) from error
    if unknown := sorted(ids - {letter.id for letter in letters}):
        raise EngineRefusal(f"there is no dead letter {unknown[0]}")
    ours = [e for e in letters if NUMBER.fullmatch(e.partition) and NUMBER.fullmatch(e.offset)]
    asked = [e for e in ours if (not ids or e.id in ids) and (not reason or e.reason == reason)]
    return asked, partitions


def _send(connection: Connection, records: Iterable[Record]) -> None:
    with closing(KafkaPublisher(connection.kafka)) as publisher:
        for record in records:
            publisher.send(record.topic, record.partition, record.key, record.value, record.headers)
        publisher.flush()


def _tell(found: Sorted, *, is_dry: bool, as_json: bool) -> None:
    sent, refused = [letter.id for letter, _ in found.usable], found.refused
    if as_json:
        document = {
            "usable" if is_dry else "replayed": sent,
            "refused": {letter.id: why for letter, why in refused},
        }
        typer.echo(json.dumps(document))
        return
    for letter, why in refused:
        typer.echo(f"{letter.id} {letter.origin}: {why}", err=True)
    done = "can be used now; nothing was sent (--dry-run)" if is_dry else "sent back to their topics"
    typer.echo(f"{len(sent)} {done}, {len(refused)} are still refused")
