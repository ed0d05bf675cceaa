"""`/metrics`, `/livez` and `/readyz` on a thread of their own, from the standard library.

Knows nothing of what it serves: metrics come from a callable, health from a struct that the worker keeps.
Answers are small and made anew on each request; nothing is read from the request but its path.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread

import msgspec

from correlator.engine.health import Health
from correlator.engine.ports import Clock

Exposition = Callable[[], tuple[str, bytes]]  # (content type, body)

_JSON = "application/json"


class _Server(ThreadingMixIn, TCPServer):
    """Unlike `http.server.HTTPServer` it asks no name server who it is."""

    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asks and does not wait for the answer, as of a process that slept, is no news."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class HttpServer:
    """Serves until `close`. *port* 0 lets the system choose: ask `port` or `url` which one it is.

    Raises OSError when the port cannot be had. Live and ready answer 200, or 503 and the reasons as JSON.
    """

    def __init__(
        self, metrics: Exposition, health: Health, clock: Clock, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._server = _Server((host, port), _handler(metrics, health, clock))
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="http", daemon=True)
        self._thread.start()
        self.host = host
        self.port = int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """`http://127.0.0.1:9100`: without a path."""
        return f"http://{'127.0.0.1' if self.host in ('', '0.0.0.0') else self.host}:{self.port}"  # noqa: S104 -- compared, not bound

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def _handler(metrics: Exposition, health: Health, clock: Clock) -> type[BaseHTTPRequestHandler]:
    def answers(path: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            return (HTTPStatus.OK, *metrics())
        if path == "/livez":
            return _verdict("live", health.live_reasons(clock.now_ms()))
        if path == "/readyz":
            return _verdict("ready", health.ready_reasons(clock.now_ms()))
        known = {"paths": ["/metrics", "/livez", "/readyz"]}
        return HTTPStatus.NOT_FOUND, _JSON, msgspec.json.encode(known)

    class Handler(BaseHTTPRequestHandler):
        server_version = "correlator"
        sys_version = ""
        timeout = 10  # s for a request to arrive: a silent client must not keep a thread for ever

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            status, content_type, body = answers(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape every few seconds is no news."""

    return Handler


def _verdict(word: str, reasons: list[str]) -> tuple[int, str, bytes]:
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return (
        status,
        _JSON,
        msgspec.json.encode({"status": f"not {word}" if reasons else word, "reasons": reasons}),
    )
