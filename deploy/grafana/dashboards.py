"""The dashboards of `deploy/grafana/*.json`, made from the tables of `panels.py`: `make dashboards`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

from deploy.grafana.panels import DASHBOARDS, Dashboard, Panel

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


def as_json(made: Dashboard) -> str:
    """*made* as Grafana imports it; its data source is chosen at the top of the page."""
    builder = (
        dashboard.Dashboard(made.title)
        .uid(made.uid)
        .description(made.description)
        .tags(["correlator"])
        .refresh("30s")
        .time("now-6h", "now")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for title, panels in made.rows:
        builder.with_row(dashboard.Row(title))
        for panel in panels:
            builder.with_panel(_number(panel) if panel.bad_from is not None else _lines(panel))
    return JSONEncoder(sort_keys=True, indent=1).encode(builder.build()) + "\n"


def _number(panel: Panel) -> Any:
    limits = [Threshold(value=None, color="green"), Threshold(value=panel.bad_from, color="red")]
    built = (
        stat.Panel()
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(limits))
    )
    return _filled(built, panel, width=4, height=4)


def _lines(panel: Panel) -> Any:
    built = (
        timeseries.Panel()
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .min(0)
    )
    return _filled(built, panel, width=8, height=8)


def _filled(built: Any, panel: Panel, *, width: int, height: int) -> Any:
    built.title(panel.title).description(panel.description).unit(panel.unit).datasource(SOURCE)
    built.span(width).height(height)
    for query in panel.queries:
        built.with_target(
            prometheus.Dataquery().expr(query.expr).legend_format(query.legend).datasource(SOURCE)
        )
    return built


def files() -> Iterator[tuple[Path, str]]:
    """Every file and what it should hold."""
    for made in DASHBOARDS:
        yield Path(__file__).with_name(f"{made.uid}.json"), as_json(made)


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, encoding="utf-8")
