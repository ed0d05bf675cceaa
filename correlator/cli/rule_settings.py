"""The settings that rules are run under: those of a configuration directory, or the defaults."""

from __future__ import annotations

from pathlib import Path

from correlator.adapters.files import load_bundle
from correlator.cli.failing import refusing
from correlator.intake.places import Sites
from correlator.timeline.settings import Settings


def settings_of(config: Path | None) -> Settings:
    """Settings and travel times of *config*, if it has sites; else the defaults. Exits with 2 where its files
    have errors.
    """
    if config is None or not (config / "sites.yml").exists():
        return Settings()
    with refusing():
        return load_bundle(config).settings


def sites_of(config: Path) -> Sites | None:
    """The places of *config*, if it has a sites file. Exits with 2 where its files have errors."""
    if not (config / "sites.yml").exists():
        return None
    with refusing():
        return load_bundle(config).intake.sites
