"""What verbs share that look at the state (`feeds status` and others): from a directory to partitions.

Nothing is written and no group joined (`engine.view`). Progress goes to stderr, where that is a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from correlator.adapters.kafka.client_logs import silence_client_logs
from correlator.adapters.kafka.log_reader import KafkaLogReader
from correlator.cli.connection import Connection, load_connection
from correlator.cli.failing import reaching, refusing
from correlator.cli.on_kafka import bundles_on
from correlator.cli.screen import progress
from correlator.cli.topic_records import told_in
from correlator.engine import view
from correlator.engine.bundles import Bundles
from correlator.engine.ports import LogReader, LogTruncated, TopicPartition
from correlator.engine.restore import Restored
from correlator.engine.topics import EngineRefusal, Topics
from correlator.pipeline import Bundle, alert_partition


class Look:
    """The state of a deployment, as it is while this is asked. See `looking`."""

    def __init__(self, log: LogReader, topics: Topics, bundles: Bundles, progress: Progress) -> None:
        self._bundles = bundles
        self._log, self._topics, self._progress = log, topics, progress
        self._task: TaskID | None = None

    @property
    def bundle(self) -> Bundle:
        """The active one."""
        active = self._bundles.active
        if active is None:
            raise EngineRefusal("nothing is deployed yet: `correlator deploy DIR` does it")
        return self._bundles.get(active.bundle)

    def partitions(self) -> Iterator[Restored]:
        """All partitions of *keyed*, one after another."""
        yield from view.view(self._log, self._topics, self._bundles, told=self._told)
        self._end()

    def entity(self, entity: str) -> Restored:
        """The partition that *entity*, `identity:e1007` for one, lives in."""
        found = view.view_entity(self._log, self._topics, self._bundles, entity, told=self._told)
        self._end()
        return found

    def alerts(self, entity: str) -> list[bytes]:
        """Records of the alerts of *entity*, as far as the topic reaches back. Ends the program, with 1, at a
        record that is none.
        """
        where = TopicPartition(self._topics.alerts, alert_partition(entity))
        begin, end = self._log.begin_offset(where), self._log.high_watermark(where)
        with suppress(LogTruncated):
            told = ((record.value or b"", told_in(record)) for record in self._log.read(where, begin, end))
            return [value for value, of in told if of and of.unmapped.correlator.entity == entity]
        return self.alerts(entity)

    def _told(self, at: view.Progress) -> None:
        said = f"restoring partition {at.partition}, {at.remaining:,} records left"
        if self._task is None:
            self._task = self._progress.add_task(said, total=at.total)
        self._progress.update(self._task, completed=at.done, description=said)

    def _end(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


@contextmanager
def deployment(directory: Path) -> Iterator[tuple[Connection, KafkaLogReader, Bundles]]:
    """What *directory* configures, to be read. Ends the program as `looking` does."""
    silence_client_logs()
    with refusing():
        connection = load_connection(directory)
    with (
        refusing(),
        reaching(connection.kafka.bootstrap_servers),
        closing(KafkaLogReader(connection.kafka)) as log,
    ):
        bundles = bundles_on(connection, log)
        bundles.look()
        yield connection, log, bundles


@contextmanager
def looking(directory: Path) -> Iterator[Look]:
    """A look at the deployment that *directory* configures. Ends the program where there is nothing to see:
    exit code 2 for a configuration or state that is wrong, 3 where Kafka does not answer.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        deployment(directory) as (connection, log, bundles),
        progress(*columns, is_transient=True) as shown,
    ):
        yield Look(log, connection.topics, bundles, shown)
