"""Valid bytes, damaged: bits flipped, ends cut off, pieces of others put in, numbers and lines changed.

`CORRELATOR_FUZZ_EXAMPLES=100000` runs longer than a test has to. What takes longer than `HANG_S` hangs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("CORRELATOR_FUZZ_EXAMPLES", "150"))
HANG_S = 30
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

# What readers of bytes trip over: lengths that are lies, numbers at the edge of a type, deep nesting.
CHUNKS: tuple[bytes, ...] = (
    b"",
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a varint of 64 bits
    b"\x80" * 12,  # one that does not end
    b"\xdb\xff\xff\xff\xff",  # msgpack: a text of 4 GiB
    b"\xdd\xff\xff\xff\xff",  # an array of 4 G items
    b"\xdf\x7f\xff\xff\xff",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",  # 2**64 - 1
    b"\xd3\x80\0\0\0\0\0\0\0",  # -2**63
    b"\xcb\x7f\xf8\0\0\0\0\0\0",  # NaN
    b"\xc0",
    b"\x91" * 2_000,
    b"\xed\xa0\x80",  # a lone surrogate as UTF-8
    b"\xef\xbb\xbf",  # byte order mark
    b"9" * 400,
    b"-1e999",
    b"NaN",
    b"[" * 3_000,
    b'{"a":' * 3_000,
    b'"\\ud800"',
    b"null",
)
# What writers of YAML get wrong, or try.
LINES: tuple[bytes, ...] = (
    b"",
    b"\t- tab",
    b"---",
    b"...",
    b"? [complex]",
    b": :",
    b"<<: *all",
    b"&all",
    b"*all",
    b"a: &a [*a]",
    (
        b"a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
        b"c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
        b"e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n"
        b"g: [*f, *f, *f, *f, *f, *f, *f, *f, *f]"
    ),
    b"x: !!python/object/apply:os.system [id]",
    b"%YAML 9.9",
    b"%TAG ! tag:x,2000:",
    b"[" * 200,
    b"- " * 200,
    b"{a: " * 200,
    b"\xff\xfe",
    b"\0",
    b"\xef\xbb\xbf",
)
VALUES: tuple[bytes, ...] = (
    b"",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"[[]]",
    b"{a: {b: [1]}}",
    b"-1",
    b"0",
    b"9223372036854775808",
    b"1e308",
    b"-1e308",
    b".inf",
    b".nan",
    b"0x7fffffff",
    b"1_000",
    b"12:30:45",
    b"2026-02-30",
    b"'" + b"x" * 5_000 + b"'",
    b'"\\ud800"',
    b'"\\0"',
    b"'%'",
    b"[1, a, null, [], {}]",
    b"*a",
    b"&a x",
    b"!!int x",
    b"|",
    b">-",
    b"(((((((((((((((((((a+)+)+)+)+)+)+)+)+)+)+",
    b"a or (b and not c",
    b"1 of them",
    b"9999d",
    b"1.2.3.4/99",
    b"::/0",
    b"Europe/Nowhere",
    b"../../etc/passwd",
)


Change = tuple[str, float, int, bytes]


def damaged(samples: Sequence[bytes], chunks: Sequence[bytes] = CHUNKS) -> st.SearchStrategy[bytes]:
    """One of *samples* after a few changes."""
    pieces = st.one_of(st.sampled_from(chunks), st.binary(max_size=8), _piece(samples))
    change = st.tuples(st.sampled_from(sorted(_BYTES)), st.floats(0, 1), st.integers(0, 64), pieces)
    return st.builds(_apply, st.sampled_from(samples), st.lists(change, min_size=1, max_size=4))


def damaged_text(samples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of *samples*, each a text of lines `name: value`, after a few changes of lines or bytes."""
    lines = [line for sample in samples for line in sample.splitlines()]
    value = st.tuples(st.just("value"), st.floats(0, 1), st.integers(0, 64), st.sampled_from(VALUES))
    line = st.tuples(
        st.sampled_from(sorted(_LINES)),
        st.floats(0, 1),
        st.integers(0, 64),
        st.one_of(st.sampled_from(LINES), st.sampled_from(lines)),
    )
    raw = st.tuples(
        st.sampled_from(sorted(_BYTES)), st.floats(0, 1), st.integers(0, 64), st.binary(max_size=4)
    )
    changes = st.lists(st.one_of(value, value, line, raw), min_size=1, max_size=4)
    return st.builds(_apply, st.sampled_from(samples), changes)


@contextmanager
def no_hang() -> Iterator[None]:
    """Ends what goes on for ever."""

    def hang(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"still at it after {HANG_S} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(HANG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _piece(samples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Some bytes of a sample."""
    return st.builds(
        lambda sample, at, length: sample[int(at * len(sample)) :][:length],
        st.sampled_from(samples),
        st.floats(0, 1),
        st.integers(1, 64),
    )


def _apply(sample: bytes, changes: Sequence[Change]) -> bytes:
    for name, at, length, chunk in changes:
        sample = _CHANGES[name](sample, at, length, chunk)
    return sample


_Do = Callable[[bytes, float, int, bytes], bytes]


def _flip(raw: bytes, at: float, length: int, _chunk: bytes) -> bytes:
    where = int(at * (len(raw) - 1)) if raw else 0
    return raw[:where] + bytes([raw[where] ^ (1 << length % 8)]) + raw[where + 1 :] if raw else raw


def _cut(raw: bytes, at: float, _length: int, _chunk: bytes) -> bytes:
    return raw[: int(at * len(raw))]


def _remove(raw: bytes, at: float, length: int, _chunk: bytes) -> bytes:
    where = int(at * len(raw))
    return raw[:where] + raw[where + length :]


def _insert(raw: bytes, at: float, _length: int, chunk: bytes) -> bytes:
    where = int(at * len(raw))
    return raw[:where] + chunk + raw[where:]


def _overwrite(raw: bytes, at: float, _length: int, chunk: bytes) -> bytes:
    where = int(at * len(raw))
    return raw[:where] + chunk + raw[where + len(chunk) :]


def _repeat(raw: bytes, at: float, length: int, _chunk: bytes) -> bytes:
    where = int(at * len(raw))
    return raw[:where] + raw[where : where + length] * 3 + raw[where + length :]


def _of_lines(change: Callable[[list[bytes], int, int, bytes], None]) -> _Do:
    def do(raw: bytes, at: float, length: int, chunk: bytes) -> bytes:
        lines = raw.splitlines()
        change(lines, int(at * max(len(lines) - 1, 0)), length, chunk)
        return b"\n".join(lines) + b"\n"

    return do


def _value(lines: list[bytes], at: int, _length: int, chunk: bytes) -> None:
    name, colon, _ = lines[at].partition(b":") if at < len(lines) else (b"", b"", b"")
    if colon:
        lines[at] = name + b": " + chunk


def _line(lines: list[bytes], at: int, _length: int, chunk: bytes) -> None:
    lines.insert(at, chunk)


def _drop(lines: list[bytes], at: int, length: int, _chunk: bytes) -> None:
    del lines[at : at + 1 + length % 3]


def _indent(lines: list[bytes], at: int, length: int, _chunk: bytes) -> None:
    lines[at : at + 1] = [b" " * (length % 7) + line.lstrip() for line in lines[at : at + 1]]


def _double(lines: list[bytes], at: int, length: int, _chunk: bytes) -> None:
    lines[at:at] = lines[at : at + 1 + length % 5]


_BYTES: dict[str, _Do] = {
    "cut": _cut,
    "flip": _flip,
    "insert": _insert,
    "overwrite": _overwrite,
    "remove": _remove,
    "repeat": _repeat,
}
_LINES: dict[str, _Do] = {
    "double": _of_lines(_double),
    "drop": _of_lines(_drop),
    "indent": _of_lines(_indent),
    "line": _of_lines(_line),
}
_CHANGES: dict[str, _Do] = {**_BYTES, **_LINES, "value": _of_lines(_value)}
