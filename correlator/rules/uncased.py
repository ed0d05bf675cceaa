"""Texts without regard to case."""

from __future__ import annotations

SIGMAS = frozenset("Σσς")


def uncased(text: str) -> str:
    """*text* in lower case, with one sigma for both: which of them hangs on where the word ends."""
    return text.lower().replace("ς", "σ")
