"""Names of our own topics, and the refusals that stop a process with something to do about it."""

from __future__ import annotations

import msgspec


class Topics(msgspec.Struct, frozen=True):
    """Full names: a deployment may put its own prefix before ours."""

    prefix: str = "correlator."

    def group(self, stage: str) -> str:
        """The consumer group of *stage*."""
        return f"{self.prefix}{stage}"

    @property
    def keyed(self) -> str:
        return f"{self.prefix}keyed"

    @property
    def identities(self) -> str:
        return f"{self.prefix}identities"

    @property
    def alerts(self) -> str:
        return f"{self.prefix}alerts"

    @property
    def bundles(self) -> str:
        return f"{self.prefix}bundles"

    @property
    def shadow(self) -> str:
        """Alerts of rules that are tried out."""
        return f"{self.prefix}alerts.shadow"

    @property
    def checkpoints(self) -> str:
        return f"{self.prefix}checkpoints"

    @property
    def notices(self) -> str:
        return f"{self.prefix}notices"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}dead-letters"


ANEW = "begin anew with other topics (`topics: {prefix: ...}` in correlator.yml)"


class EngineRefusal(Exception):
    """This process must not go on with this log: says what is wrong and what to do. Exit code 2."""


def missing(topic: str) -> EngineRefusal:
    """There is no such topic, as far as Kafka lets us see."""
    return EngineRefusal(
        f"{topic} does not exist, or is hidden from us: `correlator topics create` makes it."
    )
