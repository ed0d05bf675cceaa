"""What is odd about a document as it is written, whatever it means: warnings.

Slips that load and then do something else than was meant, or nothing: a key that is nearly one of Sigma's, a
search that no condition uses, a value that stands twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date

from correlator.problem import Path
from correlator.rules.detection import is_timeframe
from correlator.rules.draft import LOGSOURCE, Draft
from correlator.rules.exemplars import KEY as EXEMPLARS
from correlator.rules.tidy_tests import Oddity, odd_tests
from correlator.spelling import nearest

KEYS = (  # of Sigma, at the top of a document, and ours
    "title", "id", "name", "related", "taxonomy", "status", "description", "license", "author", "references",
    "date", "modified", "tags", "logsource", "detection", "fields", "falsepositives", "level", "scope",
    "correlation", "filter", "generate", "correlator", "custom_attributes", EXEMPLARS,
)  # fmt: skip
VERSION = "sigma-version"  # proposed for a later Sigma
TACTICS = (  # of ATT&CK for Enterprise, as Sigma writes them in tags
    "reconnaissance", "resource-development", "initial-access", "execution", "persistence",
    "privilege-escalation", "defense-evasion", "credential-access", "discovery", "lateral-movement",
    "collection", "command-and-control", "exfiltration", "impact",
    "stealth", "defense-impairment",  # what defense evasion became in ATT&CK 19
)  # fmt: skip

_SOURCE = (*LOGSOURCE, "definition")
_LOOSE = {"contains", "startswith", "endswith", "re"}  # modifiers with which the empty text is in every text

_MEMBERS = re.compile(r"(?<!\\)\[(any|all|none|all_or_empty|-?[0-9]+)\]")
_TECHNIQUE = re.compile(r"t[0-9]{4}(\.[0-9]{3})?")


def oddities(draft: Draft, today: date) -> Iterator[Oddity]:
    """Places of *draft*'s document that are odd, and why."""
    document = draft.document
    yield from _keys(document)
    for key in ("tags", "references", "falsepositives", "fields"):
        found = document.get(key)
        if isinstance(found, list):
            yield from (((key, at), f"{found[at]!r} is here twice") for at in _repeated(found))
    yield from odd_tests(draft.block.tests, ("correlator", "tests"))
    if draft.scenarios is not None:
        yield from odd_tests(draft.scenarios.tests, ("tests",))
    source = document.get("logsource")
    for key in source if isinstance(source, dict) else ():
        if key not in _SOURCE and (near := nearest(key, _SOURCE)):
            yield ("logsource", key), f"unknown key {key!r}{near}"
    yield from _tags(document.get("tags"))
    yield from _dates(document, today)
    head, besides = ("filter", ("level", "status")) if draft.is_filter else ("detection", ())
    yield from (((key,), f"{key} is for rules: a filter has none") for key in besides if key in document)
    for name in draft.unused:
        message = f"the search {name!r} is in no condition: use it, or begin its name with _ to keep it"
        yield (head, name), message
    section = document.get(head)
    for name, search in section.items() if isinstance(section, dict) else ():
        if is_timeframe(name, search):
            message = "timeframe is of Sigma 1 and is not looked at: a correlation has a timespan"
            yield (head, name), message
        elif name not in {"condition", "rules"}:
            yield from _search(search, (head, name))


def _keys(document: dict[str, object]) -> Iterator[Oddity]:
    for key in document:
        if key not in KEYS and not nearest(key, ["correlator"]) and (near := nearest(key.lower(), KEYS)):
            yield (key,), f"unknown key {key!r}{near}"
    if str(document.get(VERSION, "2")).partition(".")[0] != "2":
        yield (VERSION,), "is read as Sigma 2.1, whatever another version means otherwise"


def _repeated(values: list[object], *, is_cased: bool = False) -> Iterator[int]:
    """Positions of *values* that stood before."""
    seen = set[str]()
    for at, value in enumerate(values):
        text = repr(value) if is_cased else repr(value).lower()
        if text in seen:
            yield at
        seen.add(text)


def _tags(tags: object) -> Iterator[Oddity]:
    for at, tag in enumerate(tags if isinstance(tags, list) else ()):
        namespace, _, name = tag.lower().partition(".") if isinstance(tag, str) else ("", "", "")
        if namespace != "attack":
            continue
        if name[:1] == "t" and name[1:2].isdigit() and not _TECHNIQUE.fullmatch(name):
            yield ("tags", at), f"{tag!r} is no technique of ATT&CK, such as attack.t1078 or attack.t1078.004"
        elif name not in TACTICS and (near := nearest(name, TACTICS)):
            yield ("tags", at), f"{tag!r} is no tactic of ATT&CK{near}"


def _dates(document: dict[str, object], today: date) -> Iterator[Oddity]:
    dates: dict[str, date] = {}
    for key in ("date", "modified"):
        try:
            dates[key] = date.fromisoformat(str(document.get(key)).replace("/", "-"))
        except ValueError:  # none, or one that pySigma complains of
            continue
        if dates[key] > today:
            yield (key,), f"{dates[key]} is to come"
    if len(dates) == 2 and dates["modified"] < dates["date"]:
        yield ("modified",), "is before date"


# ----------------------------------------------------------------------------- searches


def _search(search: object, path: Path) -> Iterator[Oddity]:
    if isinstance(search, list) and any(isinstance(one, dict) for one in search):
        for at, one in enumerate(search):
            yield from _search(one, (*path, at))
    elif isinstance(search, dict):
        for key, values in search.items():
            yield from _item(key, values, (*path, key))
    elif isinstance(search, list):
        yield from _values(search, path)


def _item(key: str, values: object, path: Path) -> Iterator[Oddity]:
    """One line of a search."""
    field, *modifiers = key.split("|")
    listed = values if isinstance(values, list) else [values]
    if isinstance(values, list):
        yield from _values(values, path, is_cased=not {"cased", "re"}.isdisjoint(modifiers))
    if "all" in modifiers and len(listed) == 1 and "base64offset" not in modifiers:
        yield path, "all is for several values: here is one"
    if field and listed == ["*"] and not modifiers:
        yield path, f"any text: write {field}|exists: true"
    if "" in listed and not _LOOSE.isdisjoint(modifiers):
        yield path, f"the empty text is in every text{_instead(field, modifiers)}"
    if found := _MEMBERS.search(field):
        yield path, f"{found[0]} is part of the name here: a test holds if it holds of any member of a list"
    if "re" in modifiers and any(map(_is_wide, listed)):
        yield path, "begins or ends with .*, which asks for nothing: it is looked for anywhere"


def _instead(field: str, modifiers: Sequence[str]) -> str:
    if not field:
        return ": these keywords are found in every event"
    return ": this never holds" if "neq" in modifiers else f": write {field}|exists: true"


def _values(values: list[object], path: Path, *, is_cased: bool = False) -> Iterator[Oddity]:
    yield from (((*path, at), f"{values[at]!r} is here twice") for at in _repeated(values, is_cased=is_cased))


def _is_wide(pattern: object) -> bool:
    if not isinstance(pattern, str):
        return False
    return pattern.startswith(".*") or (pattern.endswith(".*") and not pattern.endswith("\\.*"))
