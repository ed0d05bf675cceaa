"""YAML text to plain values, with the line and column of every field.

Reads the parser's events itself, so that nothing is constructed that was not written: only text, numbers,
true, false, null, lists and mappings. Bounded: depth, number of nodes after aliases are expanded, length of a
file. All text that anybody may write gives a document or problems, never an exception.

Stricter and plainer than YAML 1.1: `yes`, `no`, `on`, `off` are text; so are dates, `08:30`, numbers with
leading zeros (badge numbers) and `.inf`. Keys are always text, as written: `133:` is the key "133".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite

import yaml

from correlator.problem import Lines, Path, Problem, dotted

__all__ = ["Lines", "load_yaml", "load_yaml_all"]

TEXT_MAX = 8 << 20  # characters of one file
NODES_MAX = 500_000  # values of one file, aliases expanded
DEPTH_MAX = 64

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]{1,3})?\Z")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_TAG = "tag:yaml.org,2002:"
_TAGS = {None, "!", f"{_TAG}str", f"{_TAG}seq", f"{_TAG}map"}

# What YAML takes for the end of a line and no editor does would end comments, and change texts and places.
_BARRED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x85\ud800-\udfff\u2028\u2029\ufeff]")
_END_OF_LINE = ": YAML takes it for the end of a line, leave it out or write its escape within double quotes"
_BARRED_HINTS = {
    "\0": ": if it was saved as UTF-16, save it as UTF-8",
    "\ufeff": ": a byte order mark, as where files were joined, leave it out",
    **dict.fromkeys("\x85\u2028\u2029", _END_OF_LINE),
}
_BACKSLASH = "within double quotes \\ begins an escape: use single quotes"
_HINTS = {  # what is meant in most cases, by the parser's words
    "mapping values are not allowed": "text with a colon and a space in it stands in quotes",
    "did not find expected key": "lines of one mapping are indented alike",
    "cannot start any token": "text that begins with %, @ or ` stands in quotes",
    "expected alphabetic": "text that begins with * or & stands in quotes",
    "expected hexdecimal": _BACKSLASH,
    "unknown escape": _BACKSLASH,
    "invalid Unicode character": "a character beyond U+FFFF is one escape, as in \\U0001F600",
}

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's parser is ten times faster

Value = str | int | float | bool | list["Value"] | dict[str, "Value"] | None


class _Wrong(Exception):
    """What ends the reading of a file."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


def load_yaml(text: str, file: str) -> tuple[object | None, Lines, list[Problem]]:
    """The one document of *text*. With any problem that is an error the document must not be used.

    An empty file is a problem; so is a second document.
    """
    documents, problems = load_yaml_all(text, file)
    if not documents:
        return None, Lines(file), problems or [Problem(file, 0, 0, "", "the file is empty")]
    if len(documents) > 1:
        line, column = documents[1][1].at(())
        problems.append(Problem(file, line, column, "", "a second document: this file may hold only one"))
    document, lines = documents[0]
    if document is None and not problems:
        problems.append(Problem(file, 0, 0, "", "the file is empty"))
    return document, lines, problems


def load_yaml_all(text: str, file: str) -> tuple[list[tuple[object, Lines]], list[Problem]]:
    """Every document of *text*, separated by `---`, as far as the file can be read; one in which nothing
    stands, as behind a last `---`, is none.
    """
    problems: list[Problem] = []
    documents: list[tuple[object, Lines]] = []
    if text.startswith("\ufeff"):
        message = "the file starts with a byte order mark: save it as UTF-8 without"
        problems.append(Problem(file, 1, 1, "", message))
        text = text[1:]
    try:
        _check_text(text)
        reader = _Reader(yaml.parse(text, Loader=_Loader), file, problems)
        documents.extend(reader.documents())
    except _Wrong as wrong:
        problems.append(Problem(file, wrong.line, wrong.column, "", wrong.message))
    except yaml.YAMLError as error:
        problems.append(_of_parser(error, text, file))
    return documents, problems


def _check_text(text: str) -> None:
    if len(text) > TEXT_MAX:
        raise _Wrong(f"the file is longer than {TEXT_MAX >> 20} MiB", 0, 0)
    found = _BARRED.search(text)
    if found is None:
        return
    character, at = found.group(), found.start()
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    hint = _BARRED_HINTS.get(character, "")
    raise _Wrong(f"character U+{ord(character):04X} is not allowed in a text file{hint}", line, column)


def _of_parser(error: yaml.YAMLError, text: str, file: str) -> Problem:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(file, 0, 0, "", f"not YAML: {str(error).splitlines()[0]}")
    mark = error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or line[mark.column : mark.column + 1] == "\t":
        message = "a tab: YAML is indented with spaces only"
    else:
        hint = next((hint for words, hint in _HINTS.items() if words in str(error.problem)), None)
        message = "not YAML: " + ", ".join(filter(None, [error.context, error.problem, hint]))
    return Problem(file, mark.line + 1, mark.column + 1, "", message)


class _Reader:
    """Builds documents from parser events. One reader a file: the bound on nodes is for all its documents."""

    def __init__(self, events: Iterator[yaml.Event], file: str, problems: list[Problem]) -> None:
        self._events = events
        self._file = file
        self._problems = problems
        self._nodes = 0
        self._places: dict[Path, tuple[int, int]] = {}
        self._anchors: dict[str, tuple[Value, int, int]] = {}  # value, its nodes, its levels
        self._deepest = 0  # level reached since the enclosing anchor

    def documents(self) -> Iterator[tuple[object, Lines]]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._places, self._anchors = {}, {}
                first = next(self._events)
                if _is_nothing(first):
                    continue
                self._places[()] = _place(first)
                yield self._value(first, (), 1), Lines(self._file, self._places)

    def _value(self, event: yaml.Event, path: Path, depth: int) -> Value:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        self._check_tag(event, path)
        if event.anchor is None:
            return self._plain_value(event, path, depth)
        nodes, deepest = self._nodes, self._deepest
        self._deepest = depth
        value = self._plain_value(event, path, depth)
        self._anchors[event.anchor] = (value, self._nodes - nodes, self._deepest - depth)
        self._deepest = max(self._deepest, deepest)
        return value

    def _plain_value(
        self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, path: Path, depth: int
    ) -> Value:
        self._bound(1, depth, event)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        return self._mapping(path, depth)

    def _sequence(self, path: Path, depth: int) -> Value:
        items: list[Value] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            item = (*path, len(items))
            self._places[item] = _place(event)
            items.append(self._value(event, item, depth + 1))
        return items

    def _mapping(self, path: Path, depth: int) -> Value:
        fields: dict[str, Value] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                raise _Wrong("a key must be plain text", *_place(event))
            key = (*path, event.value)
            if event.value == "<<" and event.implicit[0]:
                self._problem(key, event, "merge keys (<<) are not supported: write the fields out")
                self._value(next(self._events), key, depth + 1)
                continue
            if event.value in fields:  # the first one counts, so that its own mistakes are told too
                line = self._places[key][0]
                self._problem(key, event, f"the key {event.value!r} is here twice, first in line {line}")
                self._value(next(self._events), (*key, "twice"), depth + 1)
                continue
            self._places[key] = _place(event)
            fields[event.value] = self._value(next(self._events), key, depth + 1)
        return fields

    def _alias(self, event: yaml.AliasEvent, depth: int) -> Value:
        if event.anchor not in self._anchors:
            hint = "text that begins with * stands in quotes"
            raise _Wrong(
                f"the alias *{event.anchor} has no finished anchor before it: {hint}", *_place(event)
            )
        value, nodes, levels = self._anchors[event.anchor]
        self._bound(nodes, depth + levels, event)
        return value

    def _bound(self, nodes: int, depth: int, event: yaml.Event) -> None:
        self._nodes += nodes
        self._deepest = max(self._deepest, depth)
        if depth > DEPTH_MAX:
            raise _Wrong(f"nested deeper than {DEPTH_MAX} levels", *_place(event))
        if self._nodes > NODES_MAX:
            raise _Wrong(f"more than {NODES_MAX} values, aliases expanded", *_place(event))

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, path: Path) -> None:
        if event.tag not in _TAGS:
            tag = str(event.tag).replace(_TAG, "!!")
            self._problem(
                path, event, f"the tag {tag} is not allowed: write plain text, numbers, lists, mappings"
            )

    def _problem(self, path: Path, event: yaml.Event, message: str) -> None:
        self._problems.append(Problem(self._file, *_place(event), dotted(path), message))


def _is_nothing(event: yaml.Event) -> bool:
    """Nothing stands between one `---` and the next, or the end."""
    return isinstance(event, yaml.ScalarEvent) and not event.value and event.implicit[0] and not event.anchor


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


def _scalar(event: yaml.ScalarEvent) -> Value:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a tag was written
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text) and isfinite(float(text)):
        return float(text)
    return text
