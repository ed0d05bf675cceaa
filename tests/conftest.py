"""Fixtures that several folders share: a real Kafka broker, started when the first test asks for it."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.broker.broker import Broker, Cluster
from tests.broker.proxy import Proxy

os.environ.pop("COLUMNS", None)  # what a test reads must not hang on where it is run

settings.register_profile("quick", max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("nightly", parent=settings.get_profile("quick"), max_examples=10_000)
settings.register_profile(
    "hunt", parent=settings.get_profile("quick"), phases=[Phase.generate], database=None
)
settings.load_profile(os.environ.get("CORRELATOR_TEST_PROFILE", "quick"))


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A broker of our own, with the listeners that fault and security tests need. Missing is a failure."""
    broker = Broker()
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture(scope="session")
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Where clients connect: `CORRELATOR_TEST_BOOTSTRAP` if it is set, else a broker of our own."""
    given = os.environ.get("CORRELATOR_TEST_BOOTSTRAP")
    if given:
        return given
    own: Broker = request.getfixturevalue("broker")
    return own.bootstrap


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three brokers of our own. Slow to start: for what one broker cannot do."""
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def _proxy(broker: Broker) -> Iterator[Proxy]:
    proxy = Proxy(broker.proxy_port, broker.proxied_port)
    yield proxy
    proxy.close()


@pytest.fixture
def proxy(_proxy: Proxy) -> Iterator[Proxy]:
    """Stands between clients of `broker.proxied` and the broker. Healed before and after each test."""
    _proxy.heal()
    yield _proxy
    _proxy.heal()


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A prefix for topics, groups and transactional ids that no other test or run uses."""
    return f"{re.sub(r'[^a-z0-9]+', '-', request.node.name.lower())[:60].strip('-')}-{uuid.uuid4().hex[:8]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses a broker is marked so, and runs after the tests that are quick to fail."""
    for item in items:
        if not {"broker", "bootstrap", "cluster"}.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)
    items.sort(key=lambda item: item.get_closest_marker("broker") is not None)
