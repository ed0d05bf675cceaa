"""The live view: tables on a terminal, plain lines in a log."""

from __future__ import annotations

from io import StringIO

import msgspec
import pytest
from rich.console import Console

from correlator.alerts.told import read_told
from correlator.cli.view import FeedState, Snapshot, View
from tests.alerts import shapes
from tests.alerts.shapes import ALL, T0, value

SNAPSHOT = Snapshot(
    61.0,
    12_345,
    678.9,
    42,
    T0,
    (FeedState("badge", T0, T0 - 60_000, 2), FeedState("login")),
    3,
    1,
    4,
    "http://127.0.0.1:9100",
)


def console(*, is_terminal: bool) -> tuple[Console, StringIO]:
    screen = StringIO()
    return Console(file=screen, force_terminal=is_terminal, width=150, height=50, color_system=None), screen


def test_lines_where_there_is_no_terminal() -> None:
    out, screen = console(is_terminal=False)
    with View(out) as view:
        view.update(SNAPSHOT)
        view.alert(value(shapes.d05()))
        view.alert(value(shapes.retracted()))
        view.alert(value(shapes.d28()))
        view.update(msgspec.structs.replace(SNAPSHOT, elapsed_s=65.0, events=20_000))
    status = (
        ", 3 open and 1 closed alerts, 4 dead letters, badge to 2026-03-02 08:14:05 +00:00, "
        "login nothing yet, http://127.0.0.1:9100/metrics"
    )
    far = "web login from FR: 23 min 4 s after a badge read at lis-1-01, the way takes 1 h 47 min (1,428 km)"
    gone = "retracted: On-site login without badge-in  [closed (retracted)]"
    forced = "door lis-1-07 forced: no read or exit request explains it  [new]"
    assert screen.getvalue().splitlines() == [
        f"-- 1 min 1 s, 12,345 events (679/s), lag 42{status}",
        f"2026-03-02 09:14:05 +01:00  High      e1001       FR              {far}  [new]",
        f"2026-03-02 08:14:05 +00:00  Medium    e1001       lis             {gone}",
        f"2026-03-02 08:14:05 +00:00  High      -           lis-1-07        {forced}",
        f"-- 1 min 5 s, 20,000 events (679/s), lag 42{status}",
    ]


def test_tables_on_a_terminal() -> None:
    out, screen = console(is_terminal=True)
    with View(out, rows=2) as view:
        for make in (shapes.d17, shapes.d05, shapes.unresolved):
            view.alert(value(make()))
        view.update(msgspec.structs.replace(SNAPSHOT, waiting=("partition 3 restores",)))
    shown = screen.getvalue()
    for part in (
        "12,345 events",
        "679 a second",
        "3 open, 1 closed alerts",
        "complete to 2026-03-02 08:13:05 +00:00",
        "2 verdicts wait",
        "partition 3 restores",
        "web login from FR",
        "? badge 9999",
        "http://127.0.0.1:9100/metrics",
    ):
        assert part in shown
    assert "5 in 2 min 40 s" not in shown  # the oldest of three went


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_every_shape_is_read_back(make: object) -> None:
    assert callable(make)
    told = read_told(value(make()))
    assert told.message
    assert told.finding_info.desc
    assert told.person or told.place


def test_what_is_no_alert_is_an_error() -> None:
    for junk in (b"", b"[]", b"{}", b"\xff"):
        with pytest.raises(msgspec.DecodeError):
            read_told(junk)
