"""Rule bundles on their topic: what was stored, which one is active, and each compiled when it is needed.

    key        value
    a hash     msgpack [format, files]: the texts of a configuration directory, compressed
    active     JSON: the activations, newest first

A bundle is known by the hash of what its files mean, so that to store it twice does nothing. The newest
activation and the frames that put it into force on *keyed* are one transaction (`engine.deploy`). A bundle is
looked for up to the high watermark: where a frame is visible, its markers may not have come everywhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping

import msgspec

from correlator.engine.ports import LogReader, TopicPartition
from correlator.engine.topics import EngineRefusal, missing
from correlator.formats import Format, FormatError
from correlator.frame import Activation
from correlator.pipeline import Bundle, InForce, in_force, only
from correlator.problem import BadConfiguration, Problem
from correlator.timeline.program import Program

FORMAT = Format("bundle", 1)
ACTIVE_KEY = b"active"
HISTORY_MAX = 100

Texts = Mapping[str, str]  # by path in a configuration directory: rules/terminated.yml
Compile = Callable[[Texts], Bundle]


class Activated(msgspec.Struct, frozen=True):
    """*bundle* is in force for what happens from *since_ms* on. *at_ms*: when somebody, *by*, said so."""

    bundle: str
    since_ms: int
    at_ms: int
    by: str = ""


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    format: int
    files: bytes  # msgpack of `Texts`, compressed with zlib


def nothing_else(texts: Texts) -> Bundle:
    """For who only has bundles that are compiled already."""
    raise BadConfiguration([Problem("", 0, 0, "", f"unknown, with {len(texts)} files")])


class Bundles:
    """*known*: bundles that are compiled already."""

    def __init__(
        self,
        log: LogReader,
        topic: str,
        compile_texts: Compile = nothing_else,
        known: Iterable[Bundle] = (),
    ) -> None:
        self.history: tuple[Activated, ...] = ()  # newest first
        self._log, self._where, self._compile_texts = log, TopicPartition(topic, 0), compile_texts
        self._compiled = {bundle.hash: bundle for bundle in known}
        self._stored: dict[str, bytes] = {}
        self._next = 0

    @property
    def active(self) -> Activated | None:
        return self.history[0] if self.history else None

    @property
    def programs(self) -> dict[str, Program]:
        """Of those that are compiled, by hash."""
        return {name: bundle.program for name, bundle in self._compiled.items()}

    def begin_so(self, text: str) -> list[str]:
        """Hashes of bundles that are stored and begin with *text*."""
        return sorted(name for name in self._stored if name.startswith(text))

    def look(self) -> None:
        """Read what is new. Raises `EngineRefusal` where there is no such topic, `LogUnavailable`."""
        if self._next == 0 and self._log.partitions(self._where.topic) == 0:
            raise missing(self._where.topic)
        end = self._log.high_watermark(self._where)
        if end == self._next:  # asked once a second, and nearly always so
            return
        active: bytes | None = None  # the newest: what it replaced need not be readable
        for record in self._log.read(self._where, max(self._next, self._log.begin_offset(self._where)), end):
            if record.value is None or record.key is None:
                continue
            if record.key == ACTIVE_KEY:
                active = record.value
            else:
                self._stored[record.key.decode(errors="replace")] = record.value
        if active is not None:
            self.history = tuple(self._history(active))
        self._next = end

    def texts(self, bundle: str) -> Texts:
        """The files of *bundle*. Raises `EngineRefusal` if it is not there or cannot be read."""
        if bundle not in self._stored:
            self.look()
        raw = self._stored.get(bundle)
        name = f"{self._where.topic}: bundle {bundle}"
        if raw is None:
            raise EngineRefusal(
                f"{name} is not there, but frames or checkpoints name it. Restore the topic from a backup."
            )
        try:
            return _unpacked(raw)
        except (FormatError, msgspec.DecodeError, ValueError, zlib.error) as error:
            raise EngineRefusal(
                f"{name} cannot be read: {error}. `correlator deploy` stores it again."
            ) from error

    def is_readable(self, bundle: str) -> bool:
        """Can `texts` give it?"""
        try:
            self.texts(bundle)
        except EngineRefusal:
            return False
        return True

    def get(self, bundle: str) -> Bundle:
        """*bundle*, compiled. Raises `EngineRefusal` for one that this version cannot read."""
        found = self._compiled.get(bundle)
        if found is None:
            try:
                found = self._compile_texts(self.texts(bundle))
            except BadConfiguration as error:
                first = error.problems[0]
                raise EngineRefusal(
                    f"{self._where.topic}: bundle {bundle} cannot be used here: {first} (and "
                    f"{len(error.problems) - 1} more). If another version deployed it, run that version."
                ) from error
            if found.hash != bundle:
                raise EngineRefusal(
                    f"{self._where.topic}: bundle {bundle} reads as {found.hash} here: another version of "
                    "correlator stored it. Run that version, or deploy the directory again with this one."
                )
            self._compiled[bundle] = found
        return found

    def _history(self, raw: bytes) -> list[Activated]:
        try:
            return msgspec.json.decode(raw, type=list[Activated])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EngineRefusal(
                f"{self._where.topic}: the record {ACTIVE_KEY.decode()!r} cannot be read: {error}. Nobody "
                "but correlator may write to this topic. Restore it from a backup."
            ) from error

    def in_force(self, versions: Iterable[tuple[int, str]]) -> InForce:
        """What a checkpoint says is in force."""
        found = [(since_ms, self.get(bundle)) for since_ms, bundle in versions]
        return in_force(found) if found else InForce()

    def now(self) -> InForce:
        """The active bundle, whenever; nothing where none is. Raises as `get`, and `LogUnavailable`."""
        self.look()
        return InForce() if self.active is None else only(self.get(self.active.bundle))

    def after(self, before: InForce, activation: Activation | None, now_ms: int) -> InForce:
        """What is in force after *activation*: *before* where there is none, or it is active already, since
        then or longer (ADR 44).
        """
        if activation is None:
            return before
        if activation.bundle == before.hash and activation.since_ms >= before.versions[-1][0]:
            return before
        return before.after(activation, self.get(activation.bundle), now_ms)


def packed(texts: Texts) -> bytes:
    """The record of a bundle. Equal texts give equal bytes."""
    files = msgspec.msgpack.encode(dict(sorted(texts.items())))
    return msgspec.msgpack.encode(_Stored(FORMAT.number, zlib.compress(files, 9)))


def history_record(history: Iterable[Activated]) -> bytes:
    return msgspec.json.encode(list(history)[:HISTORY_MAX])


def _unpacked(raw: bytes) -> Texts:
    stored = msgspec.msgpack.decode(FORMAT.current(raw), type=_Stored)
    return msgspec.msgpack.decode(zlib.decompress(stored.files), type=dict[str, str])
