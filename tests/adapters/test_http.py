"""The health endpoints say what the worker's struct says, and why."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from threading import Event
from threading import enumerate as enumerate_threads

import pytest

from correlator.adapters.http import HttpServer
from correlator.engine.health import LOOP_AGE_MAX_MS, Health


class StoppedClock:
    def __init__(self) -> None:
        self.at_ms = 1_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def sleep_ms(self, duration_ms: int) -> None:
        self.at_ms += duration_ms


class Served:
    def __init__(self) -> None:
        self.health, self.clock = Health(), StoppedClock()
        self.server = HttpServer(lambda: ("text/plain", b"up 1\n"), self.health, self.clock)

    def get(self, path: str, method: str = "GET") -> tuple[int, str, bytes]:
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=5)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers["Content-Type"], body

    def reasons(self, path: str) -> tuple[int, list[str]]:
        status, _, body = self.get(path)
        return status, json.loads(body)["reasons"]


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.server.close()


def test_port_is_picked_and_reported(served: Served) -> None:
    assert served.server.port > 0
    assert served.server.url == f"http://127.0.0.1:{served.server.port}"


def test_metrics(served: Served) -> None:
    assert served.get("/metrics") == (200, "text/plain", b"up 1\n")
    assert served.get("/metrics?x=1")[0] == 200
    assert served.get("/metrics", "HEAD") == (200, "text/plain", b"")


def test_ready_only_when_nothing_is_waited_for(served: Served) -> None:
    assert served.reasons("/readyz") == (503, ["starting"])
    served.health.waiting = ("partition 3 restores: 1200 records left",)
    assert served.reasons("/readyz") == (503, ["partition 3 restores: 1200 records left"])
    served.health.waiting = ()
    assert served.reasons("/readyz") == (200, [])


def test_live_while_the_loop_comes_round(served: Served) -> None:
    assert served.reasons("/livez") == (200, [])
    served.health.loop_ms = served.clock.at_ms
    served.clock.at_ms += LOOP_AGE_MAX_MS
    assert served.reasons("/livez") == (200, [])
    served.clock.at_ms += 1
    assert served.reasons("/livez") == (503, ["the main loop has not come round for 60 s"])
    served.health.waiting = ()
    assert served.reasons("/readyz")[0] == 503


def test_failed_is_neither(served: Served) -> None:
    served.health.waiting, served.health.failed = (), "replay differs from what was published"
    assert served.reasons("/livez") == (503, ["replay differs from what was published"])
    assert served.reasons("/readyz")[0] == 503


def test_other_paths_say_which_there_are(served: Served) -> None:
    status, _, body = served.get("/")
    assert status == 404
    assert json.loads(body) == {"paths": ["/metrics", "/livez", "/readyz"]}


def test_a_client_that_says_nothing_keeps_nobody_waiting(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port)):
        assert served.get("/livez")[0] == 200


def test_a_port_that_is_taken_is_an_error(served: Served) -> None:
    with pytest.raises(OSError, match="in use"):
        HttpServer(lambda: ("", b""), served.health, served.clock, port=served.server.port)


def test_closed_means_closed() -> None:
    served = Served()
    served.server.close()
    with pytest.raises(ConnectionRefusedError):
        served.get("/livez")


def test_who_does_not_wait_for_the_answer_is_no_news(capfd: pytest.CaptureFixture[str]) -> None:
    """As all that was asked while the process slept. It was a traceback for each."""
    asked, is_gone = Event(), Event()

    def metrics() -> tuple[str, bytes]:
        asked.set()
        is_gone.wait(10)
        return "text/plain", bytes(10_000_000)

    server = HttpServer(metrics, Health(), StoppedClock())
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert asked.wait(10)
    is_gone.set()
    while any("process_request" in thread.name for thread in enumerate_threads()):
        time.sleep(0.01)
    server.close()
    assert not capfd.readouterr().err
