"""A text without which a regular expression cannot match: looked for first, since that is much cheaper.

Reads only what it understands; of anything else it says that there is no such text.
"""

from __future__ import annotations

_ONE_CHARACTER = frozenset("dDwWsSbBAz")  # escapes with a letter that stand alone
_OPTIONAL = frozenset("?*{")  # what comes before may be missing
_SHORTEST = 2


def needle_of(pattern: str, flags: str) -> str:
    """The longest ASCII text, in lower case, that `text.lower()` contains whenever RE2 finds *pattern* in
    *text*; "" if none is known.
    """
    is_folded = "i" in flags or "(?" in pattern
    runs, depth, at = [""], 0, 0
    while at < len(pattern):
        char, after = pattern[at], pattern[at + 1 : at + 2]
        at += 1
        if char == "\\":
            if after.isalnum() and after not in _ONE_CHARACTER:
                return ""
            at += 1
        elif char == "[":
            at = _class_end(pattern, at)
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "|" and depth == 0:
            return ""
        elif char == "{":
            at = pattern.find("}", at) + 1 or len(pattern)
        elif depth == 0 and _is_plain(char, is_folded) and after not in _OPTIONAL:
            runs[-1] += char
            continue
        runs.append("")
    longest = max(runs, key=len).lower()
    return longest if len(longest) >= _SHORTEST else ""


def _is_plain(char: str, is_folded: bool) -> bool:
    """Folded, `s` is also the long s, which has another lower case."""
    return (
        char.isascii()
        and (char.isalnum() or char in " _-/@:,;=<>\"'#%&~!")
        and not (is_folded and char in "sS")
    )


def _class_end(pattern: str, at: int) -> int:
    """Where the character class ends that was opened before *at*."""
    at += pattern.startswith("^", at)
    at += pattern.startswith("]", at)
    while at < len(pattern) and pattern[at] != "]":
        if pattern.startswith("[:", at):
            at = pattern.find(":]", at) + 1 or len(pattern)
        at += 2 if pattern.startswith("\\", at) else 1
    return at + 1
