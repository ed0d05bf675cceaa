"""Where keywords are looked for: every text that the source reported of the event, and nothing that was
joined to it.
"""

from __future__ import annotations

from correlator.timeline.fields import FIELDS

# What the identities feed and the model say
_JOINED = ("identity.", "anomaly.", "time.", "credential.class", "credential.state")

KEYWORD_FIELDS = tuple(
    field.name
    for field in FIELDS.values()
    if field.value_type == "str"
    and not field.feed
    and field.name != "event.id"
    and (field.name == "identity.id" or not field.name.startswith(_JOINED))
)
