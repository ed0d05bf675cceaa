"""Fields of the person as of the event: what the identities feed says, and of the credential that was used."""

from __future__ import annotations

from correlator.event import DAY_MS, SECOND_MS, Credential
from correlator.timeline.field import EVERY, IDENTITY, Field
from correlator.timeline.live import Scalar
from correlator.timeline.observation import Observation


def _status(o: Observation) -> Scalar:
    person = o.live.person
    if person is None:
        return None
    status: Scalar = "active"
    for since_ms, name in person.statuses:
        if since_ms > o.event.time_ms:
            break
        status = name
    return status


def _credential(o: Observation) -> Credential | None:
    """The identity's holding of the event's credential as of the event, else its newest holding of it."""
    person, newest, is_login = o.live.person, None, o.event.kind == "login"
    for credential in person.credentials if person else ():
        if credential.id != o.event.credential or (credential.credential_class == "account") != is_login:
            continue
        if credential.from_ms <= o.event.time_ms < credential.to_ms:
            return credential
        newest = credential
    return newest


def _credential_class(o: Observation) -> Scalar:
    credential = _credential(o)
    return credential.credential_class if credential else None


def _credential_state(o: Observation) -> Scalar:
    credential = _credential(o)
    if credential is None:
        return None
    state = "active"
    for since_ms, name in credential.states:
        if since_ms > o.event.time_ms:
            break
        state = name
    return state


def _tenure_days(o: Observation) -> Scalar:
    person = o.live.person
    if person is None or person.hired_ms is None:
        return None
    return (o.event.time_ms - person.hired_ms) / DAY_MS


def _replaced_s(o: Observation) -> Scalar:
    """A newer badge of the same class, which the person still holds, was given out while this one was held."""
    held, person = _credential(o), o.live.person
    if held is None or person is None or held.credential_class == "account":
        return None
    newer_ms = [
        c.from_ms
        for c in person.credentials
        if c.id != held.id
        and c.credential_class == held.credential_class
        and held.from_ms < c.from_ms <= o.event.time_ms < c.to_ms
    ]
    return (o.event.time_ms - max(newer_ms)) / SECOND_MS if newer_ms else None


def _temporary(o: Observation) -> Scalar:
    held = [
        c.id
        for c in (o.live.person.credentials if o.live.person else ())
        if c.credential_class == "temp" and c.from_ms <= o.event.time_ms < c.to_ms
    ]
    return held[0] if held else None


PERSON: list[Field] = [
    Field("identity.id", "str", EVERY, "", "Immutable id of the person; absent while the credential is unresolved.",
          lambda o: o.event.identity_id or None),
    Field("identity.type", "str", IDENTITY, "", "employee, contractor, visitor, service or shared.",
          lambda o: o.live.person.identity_type if o.live.person else None),
    Field("identity.department", "str", IDENTITY, "", "Department.",
          lambda o: (o.live.person.department or None) if o.live.person else None),
    Field("identity.home_site", "str", IDENTITY, "", "Site where the person usually works.",
          lambda o: (o.live.person.home_site or None) if o.live.person else None),
    Field("identity.status", "str", IDENTITY, "", "active, leave, notice, disabled or terminated as of the event.",
          _status),
    Field("identity.tenure_days", "float", IDENTITY, "", "Days since the person was hired.", _tenure_days),
    Field("identity.host", "str", IDENTITY, "", "Identity id of whoever answers for a visitor.",
          lambda o: (o.live.person.host_id or None) if o.live.person else None),
    Field("identity.temporary_badge", "str", IDENTITY, "", "Temporary badge that the person holds as of the event.",
          _temporary),
]  # fmt: skip

CREDENTIAL: list[Field] = [
    Field("credential.class", "str", IDENTITY, "", "card, mobile, pin, temp, visitor or account.", _credential_class),
    Field("credential.state", "str", IDENTITY, "", "active, lost, stolen or disabled as of the event.",
          _credential_state),
    Field("credential.replaced_s", "float", IDENTITY, "", "Seconds since the person was given a newer badge of its class, one that they still hold.",
          _replaced_s),
]  # fmt: skip
