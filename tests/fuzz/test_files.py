"""Configuration as somebody might leave it: whatever is in a file, a bundle or problems with their places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlator.adapters.documents import read_value_lists
from correlator.adapters.files import read_bundle
from correlator.adapters.record_files import read_identities, read_records
from correlator.problem import BadConfiguration
from tests.fuzz.damage import damaged_text, fuzz, no_hang
from tests.intake.company import NETWORKS, SITES, sites

ROOT = Path(__file__).parents[2]
GENERAL = b"""
settings: {horizon: 24h, ahead: 5m}
topics: {prefix: "correlator."}
partitions: 4
feeds: [badge, login-json]
kafka: {bootstrap_servers: "localhost:9092", security_protocol: PLAINTEXT}
"""
LISTS = b"""
admins: [root, adm-1, "4711"]
countries: [PT, US]
"""
PERSON = b'{"identity_id": "e1", "home_site": "lisbon", "badges": [{"id": "1", "from": "2026-01-01"}]}\n'
LINE = b'{"value": {"a": 1}, "arrival_ms": 1767947400000, "partition": 1, "key": "k", "headers": {"a": ""}}\n'


def _files(pattern: str) -> dict[str, bytes]:
    return {str(path.relative_to(ROOT)): path.read_bytes() for path in sorted(ROOT.glob(pattern))}


VALID: dict[str, bytes] = {
    "correlator.yml": GENERAL,
    "lists.yml": LISTS,
    "networks.yml": NETWORKS.encode(),
    "sites.yml": SITES.encode(),
    "feeds/badge.yml": (ROOT / "feeds/badge.yml").read_bytes(),
    "feeds/login-json.yml": (ROOT / "feeds/login-json.yml").read_bytes(),
    "rules/d17_denied_burst.yml": (ROOT / "rules/d17_denied_burst.yml").read_bytes(),
    "rules/d01.yml": (ROOT / "rules/d01_onsite_login_without_badge.yml").read_bytes(),
    **_files("schemas/*.avsc"),
    **_files("schemas/ids.yml"),
}


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """One that is valid as long as nobody damages it."""
    with TemporaryDirectory() as name:
        for file, raw in VALID.items():
            path = Path(name) / file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(raw)
        yield Path(name)


def test_without_damage_it_is_valid(directory: Path) -> None:
    bundle, problems = read_bundle(directory)
    assert bundle is not None, problems
    assert read_value_lists(directory)[0]


@pytest.mark.parametrize("file", [*VALID])
def test_a_damaged_file(directory: Path, file: str) -> None:
    alike = [raw for name, raw in VALID.items() if Path(name).suffix == Path(file).suffix]

    @fuzz
    @given(damaged_text([VALID[file]]) | damaged_text(alike))
    def whatever_is_in_it(raw: bytes) -> None:
        path = directory / file
        path.write_bytes(raw)
        try:
            with no_hang():
                bundle, problems = read_bundle(directory)
                read_value_lists(directory)
        finally:
            path.write_bytes(VALID[file])
        errors = [problem for problem in problems if problem.severity == "error"]
        assert (bundle is None) == bool(errors)
        assert all(problem.file and problem.message for problem in problems)

    whatever_is_in_it()


@contextmanager
def or_problems() -> Iterator[None]:
    """No other exception than the one that has problems."""
    try:
        yield
    except BadConfiguration as error:
        if not error.problems:
            raise


@fuzz
@given(damaged_text([LINE * 3]))
def test_damaged_records(raw: bytes) -> None:
    with TemporaryDirectory() as name, no_hang():
        (Path(name) / "records").mkdir()
        (Path(name) / "records" / "badge-events.jsonl").write_bytes(raw)
        with or_problems():
            list(read_records(Path(name)))


@fuzz
@given(damaged_text([PERSON + PERSON.replace(b"e1", b"e2").replace(b'"1"', b'"2"')]))
def test_damaged_identities(raw: bytes) -> None:
    with TemporaryDirectory() as name, no_hang():
        path = Path(name) / "identities.jsonl"
        path.write_bytes(raw)
        with or_problems():
            read_identities(path, sites())


@fuzz
@given(st.binary(max_size=200))
def test_no_yaml_at_all(directory: Path, raw: bytes) -> None:
    path = directory / "sites.yml"
    path.write_bytes(raw)
    try:
        with no_hang():
            bundle, problems = read_bundle(directory)
    finally:
        path.write_bytes(VALID["sites.yml"])
    assert bundle is not None or problems
