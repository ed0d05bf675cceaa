"""Files that somebody wrote: their text, or what is wrong with it; where shipped ones lie; value lists.

Light, for the tools of rule authors: nothing here knows feeds, sites or records.
"""

from __future__ import annotations

from pathlib import Path

from correlator.adapters.yaml_lines import load_yaml
from correlator.problem import Problem, has_errors
from correlator.rules.lists import read_lists
from correlator.rules.values import Lists
from correlator.timeline.raw import ALL

LISTS = "lists.yml"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks


def shipped(kind: str) -> Path:
    """Directory of the shipped *kind* (rules, schemas, feeds), in the installed package or the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_shipped" / kind
    return installed if installed.is_dir() else package.parent / kind


def yaml_files(directory: Path) -> list[Path]:
    """The files of *directory* that are YAML by their names, in order; nothing of directories in it, and no
    pipes or devices, which have no end.
    """
    named = [path for path in directory.glob("*.*") if path.suffix.lower() in {".yml", ".yaml"}]
    return sorted(path for path in named if not (path.is_fifo() or path.is_socket() or _is_device(path)))


def _is_device(path: Path) -> bool:
    return path.is_char_device() or path.is_block_device()


def read_text(path: Path) -> tuple[str, list[Problem]]:
    """The text of the file *path*; "" and a problem where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8"), []
    except UnicodeDecodeError as error:
        if error.object.startswith(_UTF16):
            message = "not UTF-8 text but UTF-16: save it as UTF-8"
        else:
            message = f"not UTF-8 text: {error.reason} at byte {error.start}: save it as UTF-8"
    except FileNotFoundError:
        message = "there is no such file"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    return "", [Problem(str(path), 0, 0, "", message)]


def read_kept(directory: Path) -> frozenset[str]:
    """Names that feeds of *directory* keep of their records. What is wrong with them is told elsewhere."""
    kept = set[str]()
    for path in yaml_files(directory / "feeds"):
        document, _, _ = load_yaml(read_text(path)[0], str(path))
        raw = document.get("raw") if isinstance(document, dict) else None
        named = raw if isinstance(raw, list) else [raw]
        kept |= {ALL} if raw is True else {str(name) for name in named if isinstance(name, str | int)}
    return frozenset(kept)


def read_value_lists(directory: Path) -> tuple[Lists, list[Problem]]:
    """The value lists of *directory*, none if it has no lists.yml, and what is wrong with them."""
    path = directory / LISTS
    if not path.exists():
        return {}, []
    text, problems = read_text(path)
    if problems:
        return {}, problems
    document, lines, problems = load_yaml(text, str(path))
    if has_errors(problems):
        return {}, problems
    lists, wrong = read_lists(document, lines)
    return lists or {}, problems + wrong
