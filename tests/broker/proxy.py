"""A TCP proxy that understands Kafka's framing: it drops replies or requests by API, makes the way longer, or
is gone altogether.

The broker sends clients of its `proxied` listener here. PLAINTEXT only. Faults are switched between the steps
of a test; `heal` ends all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections.abc import Coroutine
from enum import IntEnum
from typing import Any, TypeVar

T = TypeVar("T")
HOST = "127.0.0.1"


class Api(IntEnum):
    """The API keys of Kafka's protocol that tests disturb."""

    PRODUCE = 0
    JOIN_GROUP = 11
    HEARTBEAT = 12
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


class Proxy:
    """Listens on *port*, forwards to *target*, from construction to `close`."""

    def __init__(self, port: int, target: int) -> None:
        self._port, self._target = port, target
        self._drop_replies: frozenset[Api] = frozenset()
        self._drop_requests: frozenset[Api] = frozenset()
        self._delay_s = 0.0  # of every reply
        self.requests: list[int] = []  # API key of every request since the last `heal`
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kafka-proxy", daemon=True)
        self._thread.start()
        self._run(self._listen())

    def drop(self, *, replies: frozenset[Api] = frozenset(), requests: frozenset[Api] = frozenset()) -> None:
        self._drop_replies, self._drop_requests = replies, requests

    def delay(self, reply_s: float) -> None:
        """Replies take so much longer, as over a long way: what is asked together is answered together."""
        self._delay_s = reply_s

    def go_away(self) -> None:
        """As a dead broker: every connection is cut and new ones are refused."""
        self._run(self._close())

    def heal(self) -> None:
        self.drop()
        self.delay(0.0)
        self.requests.clear()
        if self._server is None:
            self._run(self._listen())

    def close(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self._port)

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._forward(reader, writer)
        except asyncio.CancelledError:  # ours, from `_close`: the server need not hear of it
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker_reader, broker_writer = await asyncio.open_connection(HOST, self._target)
        except OSError:
            return
        waiting: dict[int, int] = {}  # correlation id -> API key
        up = asyncio.ensure_future(self._up(reader, broker_writer, waiting))
        down = asyncio.ensure_future(self._down(broker_reader, writer, waiting))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            down.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(up, down, return_exceptions=True)
            broker_writer.close()

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: dict[int, int]
    ) -> None:
        while True:
            frame = await _frame(reader)
            api, _version, correlation = struct.unpack(">hhi", frame[4:12])
            self.requests.append(api)
            waiting[correlation] = api
            if api not in self._drop_requests:
                writer.write(frame)
                await writer.drain()

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: dict[int, int]
    ) -> None:
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        writing = asyncio.ensure_future(self._write_late(late, writer))
        try:
            while not writing.done():
                frame = await _frame(reader)
                api = waiting.pop(struct.unpack(">i", frame[4:8])[0], None)
                if api not in self._drop_replies:
                    late.put_nowait((self._loop.time() + self._delay_s, frame))
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await writing

    async def _write_late(
        self, late: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due_s, frame = await late.get()
            if (left_s := due_s - self._loop.time()) > 0:
                await asyncio.sleep(left_s)
            writer.write(frame)
            await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack(">i", head)[0])
