"""Who would be at home nowhere: people whose site a deployment takes out of the sites file."""

from __future__ import annotations

from collections import Counter

import msgspec

from correlator.engine.ports import LogReader, TopicPartition
from correlator.intake.identity_record import decode_identity
from correlator.pipeline import Bundle


def closed(before: Bundle | None, after: Bundle) -> frozenset[str]:
    """Sites of *before* that *after* does not have."""
    had = before.settings.sites if before is not None else ()
    return frozenset(site.site for site in had) - {site.site for site in after.settings.sites}


def homeless(log: LogReader, where: TopicPartition, sites: frozenset[str]) -> dict[str, int]:
    """How many people each of *sites* is the home of, by the newest records of the identities topic *where*.

    Their records are refused once the site is not known, and their badges and accounts are nobody's.
    """
    homes: dict[bytes, str] = {}
    if sites:
        for record in log.read(where, log.begin_offset(where), log.high_watermark(where)):
            homes[record.key or b""] = _home(record.value)
    found = Counter(home for home in homes.values() if home in sites)
    return {site: found[site] for site in sorted(sites)}


def _home(value: bytes | None) -> str:
    try:
        return decode_identity(value).home_site or "" if value else ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""  # refused already
