"""Who folds in rounds: this process, or others that tell each other what their entities say, without it."""

from __future__ import annotations

import gc
import signal
from collections.abc import Mapping, Sequence
from ctypes import c_long
from itertools import combinations
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from queue import SimpleQueue
from threading import Thread
from typing import Protocol, cast

import msgspec

from correlator.cli.share import Framed, Published, Said, Share
from correlator.models.trees import load_river

WAIT_S = 0.2  # that `is_done` waits at most

_END = b""  # instead of what a step made: there are no more
_batch = msgspec.msgpack.Decoder(Framed).decode


class ProcessDied(Exception):
    """One that folds: what is known of why, for a person."""


class Team(Protocol):
    """After the last `put` comes `end`, then `is_done` until it is true, then `alerts`. *rounds* are folded.

    Raises `ProcessDied`.
    """

    @property
    def rounds(self) -> int: ...
    def put(self, made: Framed) -> None: ...
    def end(self) -> None: ...
    def is_done(self) -> bool: ...
    def alerts(self) -> list[Published]: ...
    def close(self) -> None: ...


class Alone:
    """Folds in this process."""

    def __init__(self, share: Share) -> None:
        self.rounds = 0
        self._share, self._said = share, Said()

    def put(self, made: Framed) -> None:
        self._said = self._share.fold(self._said, made)
        self.rounds += 1

    def end(self) -> None:
        pass

    def is_done(self) -> bool:
        if self._said:
            self.put([])
        return not self._said

    def alerts(self) -> list[Published]:
        return self._share.alerts()

    def close(self) -> None:
        pass


class Others:
    """A process for each of *shares*."""

    def __init__(self, shares: Sequence[Share]) -> None:
        context = get_context("fork")  # compiled rules cannot be sent
        self._rounds = context.RawValue(c_long, 0)
        made = [context.Pipe() for _ in shares]
        peers: list[dict[int, Connection]] = [{} for _ in shares]
        for first, second in combinations(range(len(shares)), 2):
            peers[first][second], peers[second][first] = context.Pipe()
        processes = []
        for number, share in enumerate(shares):
            used = [made[number][1], *peers[number].values()]
            unused = [end for end in _ends(made, peers) if all(end is not mine for mine in used)]
            args = (number, share, made[number][1], peers[number], unused, self._rounds)
            processes.append(context.Process(target=_serve, args=args, daemon=True))
            processes[-1].start()
        ours = [pipe[0] for pipe in made]
        for end in _ends(made, peers):
            if all(end is not mine for mine in ours):
                end.close()
        members = zip(shares, processes, ours, strict=True)
        self._members = [_Member(share.numbers, process, end) for share, process, end in members]

    @property
    def rounds(self) -> int:
        return int(self._rounds.value)

    def put(self, made: Framed) -> None:
        if not all(member.process.is_alive() for member in self._members):
            raise self._died()
        for member in self._members:
            member.send(msgspec.msgpack.encode([row for row in made if row[0] in member.numbers]))

    def end(self) -> None:
        for member in self._members:
            member.send(_END)

    def is_done(self) -> bool:
        waiting = [member for member in self._members if member.alerts is None]
        ready = wait([member.connection for member in waiting], WAIT_S)
        try:
            for member in waiting:
                if member.connection in ready:
                    member.receive()
        except (EOFError, OSError) as error:
            raise self._died() from error
        return len(ready) == len(waiting)

    def alerts(self) -> list[Published]:
        return [alert for member in self._members for alert in member.alerts or ()]

    def close(self) -> None:
        for member in self._members:
            member.close()

    def _died(self) -> ProcessDied:
        """Who worked with it ends, too, without a word."""
        for member in self._members:
            member.process.join(WAIT_S)
        code = min(member.process.exitcode or 0 for member in self._members)
        if code < 0:
            how = f"was killed by {signal.Signals(-code).name}: did the machine run out of memory?"
        else:
            how = "ended with the error above"
        return ProcessDied(f"a process of the back-test {how}")


class _Member:
    """A process that folds *numbers*. A thread sends to it: nobody waits for it to take what it is sent."""

    def __init__(self, numbers: frozenset[int], process: ForkProcess, connection: Connection) -> None:
        self.numbers, self.process, self.connection = numbers, process, connection
        self.alerts: list[Published] | None = None
        self._queue = SimpleQueue[bytes]()
        self._sender = Thread(target=self._send, daemon=True)
        self._sender.start()

    def send(self, message: bytes) -> None:
        self._queue.put(message)

    def receive(self) -> None:
        self.alerts = cast("list[Published]", self.connection.recv())

    def close(self) -> None:
        """Whatever it is at: it has nothing to lose."""
        self.process.kill()
        self.process.join()
        self.send(_END)
        self._sender.join()
        self.connection.close()

    def _send(self) -> None:
        try:
            while message := self._queue.get():
                self.connection.send_bytes(message)
            self.connection.send_bytes(_END)
        except OSError:
            return  # it died: who waits for its answer is told


def _ends(
    made: Sequence[tuple[Connection, Connection]], peers: Sequence[Mapping[int, Connection]]
) -> list[Connection]:
    return [end for pipe in made for end in pipe] + [end for ends in peers for end in ends.values()]


def _serve(
    number: int,
    share: Share,
    made: Connection,
    peers: Mapping[int, Connection],
    unused: Sequence[Connection],
    rounds: c_long,
) -> None:
    """In the process of a member."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us hears it, too, and says when to end
    for end in unused:
        end.close()
    gc.disable()  # what is folded has no cycles: a worker's collections find nothing of it
    load_river()  # while there is nothing to fold yet
    said, raw = Said(), b"something"
    try:
        while raw or said:  # all members see the same, and end after the same round
            raw = raw and made.recv_bytes()
            mine = share.fold(said, _batch(raw) if raw else [])
            said = _exchanged(number, mine, peers)
            if number == 0:
                rounds.value += 1
        made.send(share.alerts())
    except (EOFError, OSError):  # nothing else of it is on a file
        return  # whoever it worked for, or with, is gone and told of


def _exchanged(number: int, mine: Said, peers: Mapping[int, Connection]) -> Said:
    """What all have said: each pair in turn, the first of it first, so nobody waits for one who waits."""
    said = [*mine]
    for other, connection in sorted(peers.items()):
        if number < other:
            connection.send(mine)
            said += connection.recv()
        else:
            said += connection.recv()
            connection.send(mine)
    return said
