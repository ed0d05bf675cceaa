"""What a rule requires of a site, and what of that is not there: unmet, the rule is inert there.

Known from the configuration alone, so that everybody can be told before anything happens. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from correlator.event import Kind
from correlator.timeline.fields import value
from correlator.timeline.observation import Observation
from correlator.timeline.settings import Settings, SiteTiming

WARM = "anomaly.is_warm"


class Requires(msgspec.Struct, frozen=True):
    """*feeds*: kinds that report of the site. *exit_reads*: readers that see people leave. *warm_model*: the
    event's score is to be one of a model that has learnt enough.
    """

    feeds: tuple[Kind, ...] = ()
    exit_reads: bool = False
    warm_model: bool = False


def inert_at(requires: Requires, settings: Settings) -> dict[str, tuple[str, ...]]:
    """Sites where *requires* is unmet, each with what is missing; {} where no sites are known."""
    found = {site.site: tuple(_missing(requires, site, settings)) for site in settings.sites}
    return {site: missing for site, missing in found.items() if missing}


def is_met(requires: Requires, inert: Mapping[str, object], observation: Observation) -> bool:
    """Does the event of *observation* come from where *requires* is met? Else the person's home site decides;
    where neither is known, nothing is.
    """
    if requires.warm_model and value(observation, WARM) is not True:
        return False
    if not observation.settings.sites or not (requires.feeds or requires.exit_reads):
        return True
    site = value(observation, "place.site") or value(observation, "identity.home_site")
    return site is not None and site not in inert


def _missing(requires: Requires, site: SiteTiming, settings: Settings) -> list[str]:
    kind_of: dict[str, str] = {feed.feed: feed.kind for feed in settings.feeds}
    configured = {kind_of.get(feed, "") for feed, _ in site.sources} or set(kind_of.values())
    missing = [f"no {kind} feed" for kind in requires.feeds if kind not in configured]
    if "access" in requires.feeds and "access" in configured and not site.has_readers:
        missing.append("no readers")
    if requires.exit_reads and not site.has_exits:
        missing.append("no readers with direction out")
    return missing
