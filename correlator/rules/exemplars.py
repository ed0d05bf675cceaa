"""Exemplars, which rsigma keeps in a rule, as tests: `custom_attributes: {rsigma.exemplars: [...]}`.

An exemplar has a `name`, `expect: match | no-match`, and one `event`, or `events: [{offset, event}]`; an
event is a mapping, nested or with dotted names. The same key may stand at the top of the document. One that
presets what our timeline derives cannot be run here: that is a warning, for another engine may run it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from correlator.problem import Path
from correlator.rules.cases import SETTABLE, gather
from correlator.rules.reading import Reader
from correlator.rules.rule import Case
from correlator.timeline.field import Field

KEY = "rsigma.exemplars"
KIND = "login"  # of an event that does not say, as those of other engines do not

_SHAPE = "an exemplar has a name, expect, and event or events: [{offset: 0s, event: {…}}]"
_KEYS = ("name", "expect", "event", "events")


def read_exemplars(
    reader: Reader, document: Mapping[str, object], fields: Mapping[str, Field], others: Sequence[Case]
) -> tuple[Case, ...]:
    """The exemplars of *document* that can be run, as tests; problems go to *reader*."""
    attributes = document.get("custom_attributes")
    nested = attributes.get(KEY) if isinstance(attributes, dict) else None
    found, path = (document.get(KEY), (KEY,)) if nested is None else (nested, ("custom_attributes", KEY))
    if found is None:
        return ()
    if not isinstance(found, list):
        reader.say(path, "must be a list of exemplars")
        return ()
    return gather(reader, list(_tests(reader, found, path, fields)), fields, others)


def _tests(
    reader: Reader, found: Sequence[object], path: Path, fields: Mapping[str, Field]
) -> Iterator[tuple[Path, object]]:
    """Those of *found* that can be run, in the shape of our tests."""
    for at, one in enumerate(found):
        place = (*path, at)
        events = _events(reader.mapping(one, place, _KEYS))
        if events is None:
            reader.say(place, _SHAPE)
            continue
        foreign = dict.fromkeys(
            n for event in events for n in event if n not in _WRITTEN and _is_derived(n, fields)
        )
        if foreign:
            reader.warn(place, f"is not run here: a test of ours cannot write {', '.join(foreign)}")
            continue
        assert isinstance(one, dict)
        yield (
            place,
            {"name": one.get("name", f"exemplar {at}"), "expect": one.get("expect"), "events": events},
        )


_WRITTEN = {*SETTABLE, "offset"}


def _is_derived(name: str, fields: Mapping[str, Field]) -> bool:
    return name not in fields or fields[name].value_type != "raw"


def _events(exemplar: Mapping[str, object]) -> list[dict[str, object]] | None:
    """The events of one exemplar with dotted names; None where it has another shape."""
    single, several = exemplar.get("event"), exemplar.get("events")
    timed = [{"event": single}] if isinstance(single, dict) and several is None else several
    if not isinstance(timed, list) or not timed or (single is not None and several is not None):
        return None
    events: list[dict[str, object]] = []
    for one in timed:
        event = one.get("event") if isinstance(one, dict) else None
        if not isinstance(one, dict) or not isinstance(event, dict) or not one.keys() <= {"offset", "event"}:
            return None
        offset = one.get("offset", "0s")
        events.append({"offset": "0s" if offset == 0 else offset, "event.kind": KIND, **_dotted(event)})
    return events


def _dotted(event: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """`{place: {site: lisbon}}` as `{place.site: lisbon}`. YAML bounds the depth."""
    flat: dict[str, object] = {}
    for key, value in event.items():
        if isinstance(value, dict):
            flat |= _dotted(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
