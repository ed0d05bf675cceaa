"""One document of a rule file while it is read: what can be said without knowing the others.

Pure: documents come parsed, with their `Lines` (adapters/yaml_lines). Any document gives a draft.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import msgspec
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from correlator.problem import Lines, Path, Problem, has_errors, shown
from correlator.rules.block import Block, read_block
from correlator.rules.correlation import Section, read_correlation
from correlator.rules.detection import Detection
from correlator.rules.reading import Reader
from correlator.rules.rule import Condition, Leaf, Written
from correlator.rules.schema import LEVELS, STATUSES
from correlator.rules.values import Lists
from correlator.spelling import nearest

Document = tuple[object, Lines]

_META = {
    "Identifier": "id",
    "Type": "name",
    "FalsePositives": "falsepositives",
    "Value": "tags",
    "Tag": "tags",
}
LOGSOURCE = ("category", "product", "service")
_NEEDED = {
    "title": "it is the first that an alert says",
    "logsource": "logsource: {product: correlator}",
}
_TEXT, _TEXTS = (str, "text"), (list, "a list of texts")
_OF_TYPE: dict[str, tuple[type, str]] = {
    "title": _TEXT,
    "id": (str, "a UUID, in quotes if it begins like a number"),
    "name": _TEXT,
    "status": _TEXT,
    "level": _TEXT,
    "description": _TEXT,
    "author": _TEXT,
    "tags": _TEXTS,
    "references": _TEXTS,
    "falsepositives": _TEXTS,
    "fields": _TEXTS,
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "level": LEVELS,
    "status": STATUSES,
}
_RULES = ("detection", "correlation", "filter")  # one of these is in every rule
_RELATED = ("derived", "obsolete", "merged", "renamed", "similar")
_SECTIONS = {"correlation", "correlator", "generate", "filter", "detection"}


class Scenarios(msgspec.Struct, frozen=True):
    """A document that holds nothing but tests of a rule that stands elsewhere."""

    rule: str
    tests: object


class Draft(msgspec.Struct, eq=False):
    """*problems* that are errors keep it from becoming a rule. *places*: where leaves were written, those of
    filters in other files.
    """

    document: dict[str, object]
    lines: Lines
    id: str = ""
    name: str = ""
    block: Block = msgspec.field(default_factory=Block)
    condition: Condition | None = None
    section: Section | None = None
    places: dict[Leaf, tuple[Lines, Path]] = {}
    item_texts: dict[Leaf, Written] = {}
    searches: dict[Condition, Written] = {}
    unused: tuple[str, ...] = ()  # searches that no condition names
    problems: list[Problem] = []
    is_counted: bool = False  # a correlation refers to it
    generates: bool = False  # and wants it to alert as well
    scenarios: Scenarios | None = None  # instead of a rule; *document* is empty then
    beside: list[Draft] = []  # scenarios for this rule

    @property
    def is_filter(self) -> bool:
        return "filter" in self.document

    @property
    def is_correlation(self) -> bool:
        return "correlation" in self.document and not self.is_filter

    @property
    def has_errors(self) -> bool:
        return has_errors(self.problems)

    def text(self, key: str) -> str:
        found = self.document.get(key)
        return found if isinstance(found, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.document.get(key)
        return tuple(t for t in found if isinstance(t, str)) if isinstance(found, list) else ()

    def place(self, leaf: Leaf) -> tuple[Lines, Path]:
        return self.places.get(leaf, (self.lines, ("detection",)))

    def say(self, path: Path, message: str) -> None:
        self.problems.append(self.lines.problem(path, message))

    def warn(self, path: Path, message: str) -> None:
        self.problems.append(self.lines.problem(path, message, "warning"))


def read_draft(document: object, lines: Lines, lists: Lists) -> Draft:
    """What *document* says, and what is wrong with it alone."""
    if not isinstance(document, dict):
        message = "must be a rule: a mapping with title, id, detection"
        return Draft({}, lines, problems=[lines.problem((), message)])
    if "action" in document:
        message = (
            "collections of rules (action: global, repeat, reset) are not of Sigma 2: write each rule out"
        )
        return Draft({}, lines, problems=[lines.problem(("action",), message)])
    parts = [key for key in _RULES if key in document]
    if not parts and not document.keys().isdisjoint(("rule", "tests")):
        return _scenarios(document, lines)
    if len(parts) > 1:
        message = f"{' and '.join(parts)} are rules of their own: write a document each"
        return Draft({}, lines, problems=[lines.problem((parts[1],), message)])
    draft = Draft(document, lines, problems=_check_meta(document, lines))
    draft.id, draft.name = draft.text("id").lower(), draft.text("name")
    if not draft.name:
        draft.name = draft.id
    draft.id = draft.id or draft.name
    if "correlator" in document:
        draft.block, problems = read_block(document["correlator"], lines)
        draft.problems += problems
    if draft.is_correlation:
        draft.section, problems = read_correlation(document, lines)
        draft.problems += problems
        return draft
    if not parts:
        draft.say(("detection",), "is missing: a rule has a detection, a correlation or a filter")
        return draft
    key, besides = ("filter", ("rules",)) if draft.is_filter else ("detection", ())
    detection = Detection(lines, lists)
    draft.condition = detection.read(document.get(key), (key,), besides)
    draft.problems += detection.problems
    draft.unused = () if detection.problems else detection.unused
    draft.places = {leaf: (lines, path) for leaf, path in detection.places.items()}
    draft.item_texts, draft.searches = detection.lines, detection.searches
    return draft


def _scenarios(document: dict[str, object], lines: Lines) -> Draft:
    reader = Reader(lines)
    reader.mapping(document, (), ("rule", "tests"))
    rule = reader.text(document.get("rule"), ("rule",))
    if "tests" not in document:
        reader.say((), "tests is missing: a document with rule: holds tests of a rule that stands elsewhere")
    tests = document.get("tests", [])
    return Draft({}, lines, problems=reader.problems, scenarios=Scenarios(rule, tests))


def _check_meta(document: dict[str, object], lines: Lines) -> list[Problem]:
    """What Sigma says of every rule, as pySigma checks it."""
    problems = [
        lines.problem((key,), f"unknown key {key!r}: did you mean correlator?")
        for key in document
        if key not in {"correlation", "correlator"} and nearest(key, ["correlator"])
    ]
    meta: dict[str, object] = {key: v for key, v in document.items() if key not in _SECTIONS}
    for key, (kind, must) in _OF_TYPE.items():  # pySigma would stumble over the first, and say nothing else
        if key in meta and not isinstance(meta[key], kind):
            problems.append(lines.problem((key,), f"must be {must}"))
            meta[key] = kind()
            if key not in {"title", "logsource"}:
                del meta[key]
        elif key in meta and kind is list:
            problems += _not_texts(meta, key, lines)
        elif key == "title" and key in meta and not str(meta[key]).strip():
            problems.append(lines.problem((key,), "must be text: it is the first that an alert says"))
        elif key in {"title", "name"} and key in meta and shown(str(meta[key])) != meta[key]:
            problems.append(lines.problem((key,), "must be one line of text without control characters"))
    problems += _source(meta, lines)
    problems += _related(meta.pop("related", []), lines)
    meta["detection"] = {"any": {"field": "value"}, "condition": "any"}
    if "correlation" in document:
        meta["logsource"] = {"product": "correlator"}
    try:
        errors: Sequence[Exception] = SigmaRule.from_dict(meta, collect_errors=True).errors
    except Exception as error:  # noqa: BLE001 - pySigma raises whatever a wrong type leads to
        errors = [error]
    return problems + [_of_sigma(error, document, lines) for error in errors]


def _not_texts(meta: dict[str, object], key: str, lines: Lines) -> Iterator[Problem]:
    """What in a list of texts is none: it would be left out of what is told, and nobody would know."""
    listed = meta[key]
    assert isinstance(listed, list)
    for at, found in enumerate(listed):
        if not isinstance(found, str):
            colon = " (a colon makes a mapping of it)" if isinstance(found, dict) else ""
            yield lines.problem((key, at), f"must be text: put it in quotes{colon}")
    meta[key] = [found for found in listed if isinstance(found, str)]


def _source(meta: dict[str, object], lines: Lines) -> Iterator[Problem]:
    """What in the log source is no text: pySigma looks only at some of it."""
    found = meta.get("logsource")
    if not isinstance(found, dict):
        return
    wrong = [key for key in LOGSOURCE if not isinstance(found.get(key), str | None)]
    for key in wrong:
        yield lines.problem(("logsource", key), "must be text")
    meta["logsource"] = found | dict.fromkeys(wrong, "x")


def _related(found: object, lines: Lines) -> Iterator[Problem]:
    """Each rule that is related, in its own place: pySigma stops at the first that is wrong."""
    reader = Reader(lines)
    if not isinstance(found, list):
        reader.say(("related",), "must be a list of {id, type}")
        found = []
    for at, said in enumerate(found):
        path: Path = ("related", at)
        if not isinstance(said, dict):
            reader.say(path, "must be a mapping {id, type}")
            continue
        reader.choice(said.get("type"), (*path, "type"), _RELATED)
        try:
            UUID(str(said.get("id")))
        except ValueError:
            reader.say((*path, "id"), "must be a UUID, in quotes if it begins like a number")
    yield from reader.problems


def _of_sigma(error: Exception, document: Mapping[str, object], lines: Lines) -> Problem:
    if not isinstance(error, SigmaError):
        return lines.problem((), f"is no Sigma rule: {error}")
    kind = type(error).__name__.removeprefix("Sigma").removesuffix("Error")
    key = _META.get(kind, kind.lower())
    said = document.get(key)
    if key in _NEEDED and (key not in document or key == "logsource"):
        return lines.problem((key,), f"{key} is missing: {_NEEDED[key]}")
    if key in _CHOICES and isinstance(said, str):
        near = nearest(said.lower(), _CHOICES[key])
        return lines.problem((key,), f"must be one of: {', '.join(_CHOICES[key])}{near}")
    if kind == "Value" and isinstance(said, list):
        at = next((at for at, tag in enumerate(said) if "." not in str(tag)), 0)
        return lines.problem((key, at), f"{said[at]!r} has no namespace, as in attack.t1078")
    return lines.problem((key,), str(error))


# ------------------------------------------------------------------ references


def targets_of(drafts: Sequence[Draft]) -> dict[str, Draft]:
    """Drafts by id and by name; the first of two. Filters cannot be referred to."""
    targets: dict[str, Draft] = {}
    for draft in drafts:
        for key in (draft.id, draft.name):
            if key and not draft.is_filter:
                targets.setdefault(key, draft)
    return targets


def find(reference: str, targets: Mapping[str, Draft]) -> Draft | None:
    """The rule with this name or id, which may be written in any case."""
    return targets.get(reference) or targets.get(reference.lower())


def no_rule(reference: str, targets: Mapping[str, Draft]) -> str:
    """What is said of a *reference* that finds nothing."""
    titled = next((draft.name for draft in targets.values() if draft.text("title") == reference), "")
    if titled:
        return f"{reference!r} is a title: write the name, {titled}"
    return f"there is no rule {reference!r}{nearest(reference, targets)}"
