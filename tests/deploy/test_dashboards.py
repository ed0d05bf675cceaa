"""The dashboards: as their tables say, of metrics that exist, each query answered by a real Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from correlator.adapters.clock import SystemClock
from correlator.adapters.http import HttpServer
from correlator.adapters.prometheus import PrometheusMeter
from correlator.cli.company import LiveCompany
from correlator.engine.metrics import CATALOGUE
from correlator.event import HOUR_MS
from correlator.simulate.company import CompanySettings
from deploy.grafana.dashboards import files
from deploy.grafana.panels import DASHBOARDS, Panel
from tests.broker.broker import free_ports

PANELS = [panel for made in DASHBOARDS for _, panels in made.rows for panel in panels]
PATIENCE_S = 300.0
SUFFIX = re.compile("_(bucket|sum|count)$")

# What a company that has no trouble has none of.
QUIET = {
    "Not used",
    "Inconclusive an hour",
    "Inert and mismatched an hour",
    "Restores",
    "Checkpoints",
    "Written to checkpoints",
    "Shadow alerts an hour",
    "Closed an hour",
    "Verdicts waiting",
}


@pytest.mark.parametrize(("path", "text"), list(files()), ids=lambda part: getattr(part, "name", ""))
def test_files_are_made_from_the_tables(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "make dashboards"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_metrics_and_labels_are_those_of_the_program(panel: Panel) -> None:
    for query in panel.queries:
        names = {SUFFIX.sub("", name) for name in re.findall(r"correlator_\w+", query.expr)}
        assert names <= CATALOGUE.keys()
        known = {label for name in names for label in CATALOGUE[name].labels} | {"le", "instance", "job"}
        asked = {
            label for labels in re.findall(r"by \(([^)]*)\)", query.expr) for label in labels.split(", ")
        }
        assert asked | set(re.findall(r"[{,](\w+)[!=]", query.expr)) <= known
        assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= known


def test_every_alerting_metric_is_on_a_dashboard() -> None:
    """Whom an alert wakes can see since when."""
    rules = (Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8")
    shown = "".join(query.expr for panel in PANELS for query in panel.queries)
    alerting = set(re.findall(r"correlator_\w+", rules))
    elsewhere = {"correlator_main_loop_timestamp_seconds"}  # a process that hangs is not ready
    assert {name for name in alerting if name not in shown} == elsewhere


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one that has scraped a simulated company for some seconds."""
    folder, meter = tmp_path_factory.mktemp("prometheus"), PrometheusMeter()
    company = LiveCompany(meter, CompanySettings(days=3, people=30, seed=5))
    port = free_ports(1)[0]
    server = HttpServer(meter.exposition, company.worker.health, SystemClock())
    config = folder / "prometheus.yml"
    target = f"{{job_name: correlator, static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]}}"
    config.write_text(f"global: {{scrape_interval: 1s}}\nscrape_configs: [{target}]\n", encoding="utf-8")
    listening = f"127.0.0.1:{port}"
    options = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={listening}",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(["prometheus", *options], stderr=log) as process:
        try:
            _watch(f"http://{listening}", company)
            yield f"http://{listening}"
        finally:
            process.terminate()
            server.close()
            company.worker.close()


def _watch(address: str, company: LiveCompany) -> None:
    """Let the company live until Prometheus has seen its counters grow."""
    until_s = monotonic() + PATIENCE_S
    while not _ask(
        address, "rate(correlator_events_total[1m]) > 0 and on () sum(correlator_alerts_total) > 0"
    ):
        assert monotonic() < until_s, "Prometheus sees nothing"
        company.advance(company.clock.now_ms() + HOUR_MS)
        sleep(0.2)


def _ask(address: str, expr: str) -> list[Any]:
    """The series that *expr* gives now; [] also while nobody answers."""
    query = urllib.parse.urlencode({"query": expr})
    try:
        with urllib.request.urlopen(f"{address}/api/v1/query?{query}") as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
            return found
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.SERVICE_UNAVAILABLE:  # as while it starts
            raise AssertionError(f"{expr}: {error.read().decode()}") from error
        return []
    except OSError:
        return []


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_prometheus_answers(panel: Panel, prometheus: str) -> None:
    answers = [_ask(prometheus, query.expr.replace("$__rate_interval", "1m")) for query in panel.queries]
    assert any(answers) or panel.title in QUIET, "nothing to see"
