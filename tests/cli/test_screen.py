"""What anybody may have written is shown on a terminal, and does not steer it."""

from __future__ import annotations

from io import StringIO

from rich.table import Table
from rich.text import Text

from correlator.cli.screen import Screen

CLEARS = "a\x1b[2Jb\x9b1A\u202ec"


def printed(*what: object, is_terminal: bool = False) -> str:
    file = StringIO()
    console = Screen(
        file=file,
        force_terminal=is_terminal,
        width=80,
        markup=False,
        color_system="standard" if is_terminal else None,
    )
    for one in what:
        console.print(one)
    return file.getvalue()


def test_what_would_steer_a_terminal_is_spelt_out() -> None:
    table = Table("name")
    table.add_row(CLEARS)
    for found in (printed(CLEARS), printed(Text(CLEARS)), printed(table)):
        assert "aU+001B" in found  # a column is as wide as what it was made for
        assert not set(found) & set("\x1b\x9b\u202e")


def test_colours_of_our_own_and_ends_of_lines_stay() -> None:
    found = printed(Text(f"one\ntwo {CLEARS}", "red"), is_terminal=True)
    assert found.replace("\x1b[31m", "").replace("\x1b[0m", "") == "one\ntwo aU+001B[2JbU+009B1AU+202Ec\n"


def test_letters_of_any_script_stay() -> None:
    names = "Zoë, می\u200cخواهم, 李娜, 👩\u200d🔬"
    assert printed(names) == f"{names}\n"
