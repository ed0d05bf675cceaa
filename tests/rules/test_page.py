"""The normative page: every row names a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "rules-semantics.md"


def rows() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in cells if row[0].strip() != "question"]


def named_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_row_names_a_test_that_is_there() -> None:
    assert len(rows()) > 60
    for row in rows():
        assert len(row) == 3, row
        file, _, name = row[2].strip("`").partition("::")
        assert name in named_in(HERE / file), row


def test_no_question_is_asked_twice() -> None:
    questions = [row[0] for row in rows()]
    assert len(set(questions)) == len(questions)
