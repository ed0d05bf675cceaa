"""Reading YAML: plain values with places, and a problem with line and column for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.adapters.yaml_lines import DEPTH_MAX, load_yaml, load_yaml_all


def problems_of(text: str) -> list[str]:
    return [str(problem) for problem in load_yaml(text, "f.yml")[2]]


def test_every_field_knows_its_place_and_an_unknown_one_falls_back_to_its_parent() -> None:
    document, lines, problems = load_yaml("zones:\n  - id: lobby\n    doors: [a, {id: b}]\n", "f.yml")
    assert problems == []
    assert document == {"zones": [{"id": "lobby", "doors": ["a", {"id": "b"}]}]}
    assert lines.at(("zones", 0, "id")) == (2, 5)
    assert lines.at(("zones", 0, "doors", 1, "id")) == (3, 17)
    assert lines.at(("zones", 0, "name", "short")) == (2, 5)
    assert lines.at(("sites",)) == (1, 1)
    assert str(lines.problem(("zones", 0, "id"), "unknown")) == "f.yml:2:5: error: zones[0].id: unknown"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-1.5", -1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("", None),
        ("~", None),
        ("no", "no"),
        ("08:30", "08:30"),
        ("2026-01-09", "2026-01-09"),
        ("0047", "0047"),
        ("'12'", "12"),
        ("!!str 12", "12"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("9" * 30, "9" * 30),
    ],
)
def test_only_plain_values_come_out(text: str, value: object) -> None:
    document, _, problems = load_yaml(f"field: {text}", "f.yml")
    assert document == {"field": value}
    assert problems == []


def test_keys_are_text_as_written() -> None:
    assert load_yaml("133: a\ntrue: b\n0047: c\n", "f.yml")[0] == {"133": "a", "true": "b", "0047": "c"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "f.yml:4:3: error: b.c: the key 'c' is here twice, first in line 3"),
        ("a:\n\tb: 1", "f.yml:2:1: error: a tab: YAML is indented with spaces only"),
        ("\ufeffa: 1", "f.yml:1:1: error: the file starts with a byte order mark: save it as UTF-8 without"),
        (
            "a: !!python/name:os.system x",
            "f.yml:1:4: error: a: the tag !!python/name:os.system is not allowed",
        ),
        ("a: !!binary aGk=", "f.yml:1:4: error: a: the tag !!binary is not allowed"),
        ("a: &x [*x]", "f.yml:1:8: error: the alias *x has no finished anchor before it"),
        ("? [1]\n: 2", "f.yml:1:3: error: a key must be plain text"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "f.yml:3:3: error: c.<<: merge keys (<<) are not supported"),
        ("a: b: c", "f.yml:1:5: error: not YAML: mapping values are not allowed"),
        (
            "title: Login: at a desk",
            "f.yml:1:13: error: not YAML: mapping values are not allowed in this context, text with a colon",
        ),
        (
            "a:\n    b: 1\n  c: 2",
            "f.yml:3:3: error: not YAML: while parsing a block mapping, did not find expected key, lines of",
        ),
        ("a: \x07", "f.yml:1:4: error: character U+0007 is not allowed"),
        (
            "a: 1\n# b\u2028c: 2",
            "f.yml:2:4: error: character U+2028 is not allowed in a text file: YAML takes it",
        ),
        (
            "a: 'b\x85c'",
            "f.yml:1:6: error: character U+0085 is not allowed in a text file: YAML takes it for",
        ),
        (
            "a: 1\n\ufeffb: 1",
            "f.yml:2:1: error: character U+FEFF is not allowed in a text file: a byte order",
        ),
        (
            r'a: "\ud83d\ude00"',
            "f.yml:1:7: error: not YAML: while parsing a quoted scalar, found invalid Unicode",
        ),
        ("", "f.yml: error: the file is empty"),
        ("a: 1\n---\nb: 1", "f.yml:3:1: error: a second document"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, problem: str) -> None:
    (found,) = problems_of(text)
    assert found.startswith(problem)


def test_an_alias_is_the_value_again_and_a_bomb_of_them_is_refused() -> None:
    assert load_yaml("a: &x [1, 2]\nb: *x", "f.yml")[0] == {"a": [1, 2], "b": [1, 2]}
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (problem,) = problems_of("\n".join(["a0: &a0 [1]", *levels]))
    assert "aliases expanded" in problem


@pytest.mark.parametrize(
    "text", ["[" * 500, "\n".join(["a0: &a0 1", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 500))])]
)
def test_nesting_is_bounded_with_and_without_aliases(text: str) -> None:
    (problem,) = problems_of(text)
    assert f"nested deeper than {DEPTH_MAX} levels" in problem


def test_several_documents_keep_the_lines_of_the_file() -> None:
    documents, problems = load_yaml_all("a: 1\n---\nb:\n  c: 2\n", "f.yml")
    assert problems == []
    assert [document for document, _ in documents] == [{"a": 1}, {"b": {"c": 2}}]
    assert documents[1][1].at(("b", "c")) == (4, 3)


@settings(max_examples=200, deadline=None)
@given(
    st.text(
        alphabet=st.one_of(st.sampled_from("ab:-[]{}&*!?|>'\"#%,\n\t ~<01.\ufeff"), st.characters()),
        max_size=60,
    )
)
def test_any_text_gives_a_document_or_problems(text: str) -> None:
    documents, problems = load_yaml_all(text, "f.yml")
    assert documents or problems or not text.strip() or text.strip()[0] in "#%-."


@pytest.mark.parametrize(
    "text", ["a: 1\n---\n", "---\n---\na: 1\n", "# a licence\n---\na: 1\n---\n# the end\n"]
)
def test_a_document_in_which_nothing_stands_is_none(text: str) -> None:
    documents, problems = load_yaml_all(text, "f.yml")
    assert ([document for document, _ in documents], problems) == ([{"a": 1}], [])
    assert load_yaml("---\n---\n", "f.yml")[2][0].message == "the file is empty"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "a: *x",
            "the alias *x has no finished anchor before it: text that begins with * stands in quotes",
        ),
        ('a: "C:\\x"', "within double quotes \\ begins an escape: use single quotes"),
        ('a: "C:\\rules\\users"', "within double quotes \\ begins an escape: use single quotes"),
        ("a: *.exe", "text that begins with * or & stands in quotes"),
        ("a: *x*", "text that begins with * or & stands in quotes"),
        ("a: %x%", "text that begins with %, @ or ` stands in quotes"),
        ("a\0: 1", "U+0000 is not allowed in a text file: if it was saved as UTF-16, save it as UTF-8"),
    ],
)
def test_what_was_meant_is_guessed(text: str, hint: str) -> None:
    (found,) = problems_of(text)
    assert found.endswith(hint)
