"""House rules that no linter holds: sizes, imports where they belong, and nothing that breaks determinism."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
PURE = ("alerts", "intake", "models", "rules", "timeline")
PURE_FILES = (
    "address.py",
    "codec.py",
    "event.py",
    "formats.py",
    "frame.py",
    "pipeline.py",
    "problem.py",
    "record.py",
    "spelling.py",
)
BANNED_CALLS = {"print", "open", "input", "hash", "eval", "__import__"}
BANNED_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
PRODUCT = sorted((ROOT / "correlator").rglob("*.py"))
EVERYTHING = sorted([*PRODUCT, *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name(path))


def is_pure(path: Path) -> bool:
    folder, *rest = path.relative_to(ROOT / "correlator").parts
    return folder in PURE if rest else folder in PURE_FILES


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


def test_files_are_short() -> None:
    long = [name(p) for p in EVERYTHING if len(p.read_text(encoding="utf-8").splitlines()) >= FILE_LINES_MAX]
    assert long == []


def test_functions_are_short() -> None:
    long = [
        f"{name(path)}:{f.lineno} {f.name}"
        for path in EVERYTHING
        for f in functions(path)
        if (f.end_lineno or 0) - f.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_imports_stand_at_the_top() -> None:
    inside = [
        f"{name(path)}:{node.lineno}"
        for path in EVERYTHING
        for f in functions(path)
        for node in ast.walk(f)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


def test_nothing_is_imported_for_type_checking_only() -> None:
    guarded = [
        f"{name(path)}:{node.lineno}"
        for path in EVERYTHING
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Name) and node.id == "TYPE_" + "CHECKING"
    ]
    assert guarded == []


def test_nothing_is_pickled() -> None:
    pickled = [
        f"{name(path)}: {module}"
        for path in EVERYTHING
        for node in ast.walk(tree(path))
        for module in imported(node)
        if module.split(".")[0] in BANNED_IMPORTS
    ]
    assert pickled == []


def test_packages_re_export_nothing() -> None:
    full = [name(p) for p in EVERYTHING if p.name == "__init__.py" and p.read_text(encoding="utf-8")]
    assert full == []


def test_pure_code_calls_nothing_that_differs_from_run_to_run() -> None:
    calls = [
        f"{name(path)}:{node.lineno} {node.func.id}"
        for path in PRODUCT
        if is_pure(path)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BANNED_CALLS
    ]
    assert calls == []


def test_modules_say_what_they_do() -> None:
    silent = [name(p) for p in PRODUCT if p.name != "__init__.py" and not ast.get_docstring(tree(p))]
    assert silent == []


def test_the_page_on_architecture_names_files_that_are_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", page)
    files = [f"/{name(path)}" for path in PRODUCT]
    assert len(named) > 30
    assert [file for file in named if not any(path.endswith(f"/{file}") for path in files)] == []


def test_decisions_that_code_cites_are_on_the_page_on_architecture() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| (\d+) \| ", page, re.MULTILINE))
    cited = {
        number
        for path in (*EVERYTHING, *(ROOT / "docs" / "adr").glob("*.md"))
        for number in re.findall(r"[Dd]ecision\s(\d+)", path.read_text(encoding="utf-8"))
    }
    assert cited
    assert cited <= known
    assert all(list((ROOT / "docs" / "adr").glob(f"{int(n):04}-*.md")) for n in _adrs(page))


def _adrs(page: str) -> list[str]:
    rows = re.findall(r"^\| \d+ \| .* \| ([\d, ]+) \|$", page, re.MULTILINE)
    return [number for row in rows for number in row.split(", ")]


def test_the_lock_file_names_every_dependency_and_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    locked = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert {"kafka-python", "msgspec", "pydantic", "pysigma", "river", "typer"} <= locked
    assert "kafka-python[crc32c" in project


def test_river_is_loaded_by_the_models_alone_and_late() -> None:
    """It takes seconds: import-linter does not see a module that is imported when it is needed."""
    named = {
        name(path)
        for path in PRODUCT
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Constant) and str(node.value).startswith("river."))
        or any(module.split(".")[0] == "river" for module in imported(node))
    }
    assert named == {"correlator/models/trees.py"}
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, correlator.cli.run_on_kafka; print('river' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout == "False\n"
