"""The settings that rules are run under: those of a configuration directory, or the defaults."""

from __future__ import annotations

from pathlib import Path

from correlator.adapters.files import load_bundle
from correlator.cli.failing import refusing
from correlator.timeline.settings import Settings


def settings_of(config: Path | None) -> Settings:
    """Settings and travel times of *config*, if it has sites; else the defaults. Exits with 2 where its files
    have errors.
    """
    if config is None or not (config / "sites.yml").exists():
        return Settings()
    with refusing():
        return load_bundle(config).settings
