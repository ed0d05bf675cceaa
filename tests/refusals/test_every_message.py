"""No message of a refusal is without a test that provokes it and reads it.

Held statically: of the words of each message, some in a row stand in a test. Of the engine's refusals
`tests/engine/test_refusals.py` holds more: each place in the code that makes one is reached.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE_BY = {
    *("EngineRefusal", "BadParameter", "Problem", "FormatError", "FrameError", "StateError", "LineError"),
    *("StateFormatError", "CommitAborted", "CommitFenced", "LogTruncated"),
    *("say", "problem", "_damaged", "_unreachable", "_wrong"),
}
IN_A_ROW = 3
WORDS_MIN = 10  # letters of a piece of a message that says something

# Read by people, but not provoked by a test, each with the reason.
NOT_PROVOKED = {
    "not a joined member of the group: the broker would not fence this commit": "tests/kafka/test_guards.py",
    "no such partition:": "only somebody who builds a test meets it",
    "is no Sigma rule:": "what pySigma raises beside its own errors: the fuzz has met some, all mended since",
    "unknown, with": "becomes `deployed by another version`, which is read",
}


def test_every_message_is_read_by_a_test() -> None:
    tests = _tests()
    unread = [
        f"{where}: {pieces}"
        for where, pieces in _messages()
        if not any(_is_in(piece, tests) or piece in NOT_PROVOKED for piece in pieces)
    ]
    assert unread == []


def test_what_is_not_provoked_is_still_said() -> None:
    said = {piece for _, pieces in _messages() for piece in pieces}
    assert NOT_PROVOKED.keys() - said == set()


def _messages() -> Iterator[tuple[str, list[str]]]:
    """Where each is made, and the pieces of it that are the same every time."""
    for path in sorted((ROOT / "correlator").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in MADE_BY:
                texts = [_tidy(text) for argument in node.args for text in _texts(argument)]
                pieces = [text for text in texts if len(text) >= WORDS_MIN and " " in text]
                if pieces:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", pieces


def _name(function: ast.expr) -> str:
    return getattr(function, "id", "") or getattr(function, "attr", "")


def _texts(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def _tests() -> str:
    """All tests, without what regular expressions need beside the words, and lines put together."""
    paths = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    joined = re.sub(r'"\s*\n\s*[rf]*"', "", re.sub(r"\\(.)", r"\1", " ".join(texts)))
    return _tidy(joined)


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _is_in(piece: str, tests: str) -> bool:
    words = piece.split(" ")
    count = min(IN_A_ROW, len(words))
    return any(" ".join(words[at : at + count]) in tests for at in range(len(words) - count + 1))
