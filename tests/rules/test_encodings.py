"""What encodings of values mean: the base64 and utf16 families, and what `neq` and `all` say of them."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.rules.writing import access, load, matches, one, rule


@pytest.mark.parametrize(
    ("modifiers", "encoded"),
    [
        ("base64", "w7xi"),
        ("wide|base64", "/ABiAA=="),
        ("utf16le|base64", "/ABiAA=="),
        ("utf16be|base64", "APwAYg=="),
        ("utf16|base64", "//78AGIA"),
    ],
)
def test_the_base64_family_encodes_as_the_modifier_before_says(modifiers: str, encoded: str) -> None:
    assert matches(one(f"device.id|{modifiers}: üb"), access(device=encoded))


def test_base64offset_finds_text_wherever_it_stands() -> None:
    for before in ("", "x", "xy", "xyz"):
        whole = b64encode(f"{before}secret words{before}".encode()).decode()
        assert matches(one("device.id|base64offset|contains: secret"), access(device=whole))
        assert matches(one("device.id|base64offset|contains|all: [secret, words]"), access(device=whole))
        assert not matches(one("device.id|base64offset|contains|all: [secret, sword]"), access(device=whole))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("device.id|base64offset|contains: a", "of one character is sure of nothing"),
        ("device.id|base64offset|contains: [secret, 1]", "of one character is sure of nothing"),
        ("device.id|base64offset: secret", "write |base64offset|contains"),
        ("device.id|base64offset|all: [secret, words]", "write |base64offset|contains"),
    ],
)
def test_base64offset_that_would_match_everything_or_nothing_is_an_error(line: str, message: str) -> None:
    """The six bits before and behind a byte depend on its neighbours: of one byte no digit is its own."""
    rules, problems = load(rule(one(line)))
    assert rules == []
    assert [message in problem.message for problem in problems] == [True]


def test_base64offset_takes_two_characters_and_looks_among_keywords() -> None:
    whole = access(device=b64encode(b"xx secret").decode())
    assert matches(one("device.id|base64offset|contains: ec"), whole)
    assert matches(one("device.id|wide|base64offset|contains: s"), access(device="cwA="))
    assert not matches(one("device.id|base64offset|contains: ab"), whole)
    assert matches(one("'|base64offset': secret"), whole)


def test_base64_is_compared_as_other_text_is() -> None:
    for modifiers in ("base64", "base64offset|contains"):
        event = access(device=b64encode(b"secret").decode().lower())
        assert matches(one(f"device.id|{modifiers}: secret"), event)
        assert not matches(one(f"device.id|{modifiers}|cased: secret"), event)


def test_wide_text_without_base64_has_zero_bytes() -> None:
    assert matches(one("device.id|wide: ab"), access(device="a\0b\0"))
    assert matches(one("device.id|utf16be|contains: ab"), access(device="x\0a\0b"))


@pytest.mark.parametrize("modifiers", ["base64", "wide|base64", "re", "contains", "windash", "cased"])
def test_neq_and_all_are_of_all_values_wherever_they_stand(modifiers: str) -> None:
    for text in ("abc", b64encode(b"abc").decode(), b64encode("abc".encode("utf-16le")).decode(), "def"):
        event = access(device=text)
        is_so = matches(one(f"device.id|{modifiers}: abc"), event)
        for line in (f"neq|{modifiers}", f"{modifiers}|neq"):
            assert matches(one(f"device.id|{line}: abc"), event) is not is_so, (line, text)
    one_of_two = access(device=b64encode(b"xx secret").decode())
    for line in ("all|base64offset|contains", "base64offset|all|contains", "base64offset|contains|all"):
        assert not matches(one(f"device.id|{line}: [secret, words]"), one_of_two), line


def test_base64_ends_as_it_is_encoded() -> None:
    line = "device.id|base64|contains: https:/"
    assert matches(one(line), access(device=b64encode(b"https:/").decode())), "aHR0cHM6Lw=="
    assert not matches(one(line), access(device=b64encode(b"https://x").decode()))
    assert matches(one("device.id|base64offset|contains: https:/"), access(device="aHR0cHM6Ly94"))
