"""What all dashboards share: variables, links, annotations, and the kinds of panels that they use."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shared
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = shared.DataSourceRef(type_val="prometheus", uid="${datasource}")
PROCESS = 'job=~"$job", instance=~"$instance"'
OWN = PROCESS + ', pool=~"$pool"'
"""Labels that select the chosen pools in poolwatch's own metrics."""
FLOW = PROCESS + ', scope=~"$scope"'
"""Labels that select the chosen scopes."""
POOL = "db_client_connection_pool_name"
CHOSEN = PROCESS + f', {POOL}=~"$pool"'
"""Labels that select the chosen pools in the metrics of the semantic conventions."""
BY_POOL = f"instance, {POOL}"
POOL_LEGEND = f"{{{{{POOL}}}}} in {{{{instance}}}}"
SITES_ID = 100
"""The panel of the dashboard Leaks that lists sites: what graphs of pools lead to."""
WHOLE = 24

Query = tuple[str, str]
"""An expression and its legend."""
Panel = timeseries.Panel | stat.Panel | table.Panel | heatmap.Panel
HEIGHT, HALF, QUARTER = 8, 12, 6


def dashboard(uid: str, title: str, description: str, panels: dict[str, Sequence[Panel]]) -> board.Dashboard:
    """Give a dashboard with the variables and links that all have; ``panels`` are listed by the title of their row."""
    built = (
        board.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["poolwatch"])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables(_variables())
        .annotation(_restarts())
        .annotation(_alerts())
        .annotation(_begins())
        .link(_siblings())
    )
    ids = count(1)
    for row, members in panels.items():
        built.with_row(board.Row(row).id(next(ids)))
        for panel in _side_by_side(members):
            built.with_panel(panel if panel.build().id_val else panel.id(next(ids)))
    return built


def _side_by_side(panels: Sequence[Panel]) -> Sequence[Panel]:
    """Widen the last one where it would stand alone."""
    if sum(panel.build().grid_pos.w for panel in panels) % WHOLE:
        panels[-1].span(WHOLE)
    return panels


def graph(title: str, description: str, unit: str, *queries: Query, stacked: bool = False) -> timeseries.Panel:
    """Give lines over time, half a screen wide, from zero up."""
    panel = timeseries.Panel().unit(unit).min(0).fill_opacity(10)
    panel.legend(
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(shared.LegendDisplayMode.TABLE)
        .placement(shared.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
        .sort_by("Last *")
        .sort_desc(True)
    )
    panel.tooltip(common.VizTooltipOptions().mode(shared.TooltipDisplayMode.MULTI))
    if stacked:
        panel.stacking(common.StackingConfig().mode(shared.StackingMode.NORMAL).group("A"))
    _describe(panel, title, description, HALF)
    _ask(panel, queries)
    return panel


def number(
    title: str, description: str, unit: str, query: Query, warn: float | None = None, alarm: float | None = None
) -> Panel:
    """Give the value of now in large figures, a quarter of a screen wide; red above ``alarm``, or below where lower."""
    panel = stat.Panel().unit(unit).no_value("none").color_mode(shared.BigValueColorMode.BACKGROUND)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).thresholds(_thresholds(warn, alarm))
    if unit == "short":
        panel.decimals(0)  # increase() gives fractions of what is whole
    expression, legend = query
    panel.with_target(_query(expression, "A").instant().legend_format(legend))
    return _describe(panel, title, description, QUARTER).height(4)


def listing(title: str, description: str, unit: str, query: str, columns: Sequence[str], value: str = "") -> Panel:
    """Give a table of what an expression gives now, half a screen wide; ``instance`` leads to the process' own page.

    ``columns`` are the labels in order; ``value`` is what the number is called, which is left out without.
    """
    panel = table.Panel().unit(unit).no_value("none")
    page = board.DashboardLink("The report of this process").url("http://${__value.text}/").target_blank(True)
    panel.override_by_name("instance", [model.DynamicConfigValue(id_val="links", value=[page.build()])])
    panel.override_by_name("site", [model.DynamicConfigValue(id_val="custom.width", value=620)])
    if value:
        panel.sort_by([common.TableSortByFieldState().display_name(value).desc(True)])
    options = {
        "excludeByName": {"Time": True} | ({} if value else {"Value": True}),
        "indexByName": {name: place for place, name in enumerate([*columns, "Value"])},
        "renameByName": {"Value": value} if value else {},
    }
    panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))
    panel.with_target(_query(query, "A").instant().format(PromQueryFormat.TABLE))
    return _describe(panel, title, description, HALF)


def spread(title: str, description: str, query: str) -> Panel:
    """Give a heatmap of a histogram in seconds, half a screen wide."""
    panel = heatmap.Panel().calculate(False).y_axis(heatmap.YAxisConfig().unit("s"))
    panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
    panel.with_target(_query(query, "A").range().format(PromQueryFormat.HEATMAP).legend_format("{{le}}").exemplar(True))
    return _describe(panel, title, description, HALF)


def quantiles(metric: str) -> tuple[Query, ...]:
    """Give p50, p95 and p99 of a histogram of the conventions, by pool; nothing where nothing was measured."""
    rates = f"sum by (le, {POOL}) (rate({metric}_bucket{{{CHOSEN}}}[$__rate_interval]))"
    return tuple(
        (f"histogram_quantile(0.{percent}, {rates}) >= 0", f"p{percent} {{{{{POOL}}}}}") for percent in (50, 95, 99)
    )


def linked(panel: Panel, *links: board.DashboardLink) -> Panel:
    """Put links into the corner of a panel."""
    return panel.links(list(links))


def beside(title: str, uid: str) -> board.DashboardLink:
    """Give a link to another dashboard, with the same variables and time."""
    return _link(title, f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}")


def runbook(alert: str) -> board.DashboardLink:
    """Give a link to the page that says what to do when an alert fires."""
    return _link("Runbook", f"${{docs}}/runbooks/{alert}.md").target_blank(True)


def reference() -> board.DashboardLink:
    """Give a link to the page that explains each kind of finding."""
    return _link("What the kinds mean", "${docs}/findings.md").target_blank(True)


def to_sites(panel: timeseries.Panel, pool: str = "pool") -> timeseries.Panel:
    """Let a click on a line lead to the sites that hold connections of its pool; ``pool`` is the label's name."""
    chosen = f"var-pool=${{__field.labels.{pool}}}&var-instance=${{__field.labels.instance}}&${{job:queryparam}}"
    url = f"/d/poolwatch-leaks?viewPanel={SITES_ID}&{chosen}&${{datasource:queryparam}}&${{__url_time_range}}"
    return panel.data_links([board.DashboardLink("Sites that hold its connections").url(url)])


def _link(title: str, url: str) -> board.DashboardLink:
    return board.DashboardLink(title).type(model.DashboardLinkType.LINK).url(url)


def _describe(panel: Panel, title: str, description: str, width: int) -> Panel:
    return panel.title(title).description(description).datasource(SOURCE).span(width).height(HEIGHT)


def _ask(panel: Panel, queries: Sequence[Query]) -> Panel:
    for letter, (expression, legend) in zip("ABCDEF", queries, strict=False):
        query = _query(expression, letter).range().legend_format(legend)
        panel.with_target(query.exemplar("_bucket{" in expression))
    return panel


def _query(expression: str, letter: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).ref_id(letter).datasource(SOURCE)


def _thresholds(warn: float | None, alarm: float | None) -> board.ThresholdsConfig:
    steps: list[tuple[float | None, str]] = [(None, "green")]  # without any, Grafana has red from 80 up
    if warn is not None and alarm is not None:
        steps += [(warn, "orange"), (alarm, "red")]
        if alarm < warn:
            steps = [(None, "red"), (alarm, "orange"), (warn, "green")]
    config = board.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE)
    return config.steps([model.Threshold(value=value, color=color) for value, color in steps])


def _variables() -> list[Builder[model.VariableModel]]:
    return [
        board.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _variable("job", "Service", "label_values(poolwatch_build_info, job)"),
        _variable("instance", "Instance", 'label_values(poolwatch_build_info{job=~"$job"}, instance)'),
        _variable("pool", "Pool", f"label_values(db_client_connection_count{{{PROCESS}}}, {POOL})"),
        _variable("scope", "Scope", f"label_values(poolwatch_scope_leases_total{{{PROCESS}}}, scope)"),
        board.TextBoxVariable("docs")
        .label("Docs")
        .default_value("/poolwatch/docs")
        .hide(model.VariableHide.HIDE_VARIABLE),
    ]


def _variable(name: str, label: str, query: str) -> board.QueryVariable:
    variable = board.QueryVariable(name).label(label).query(query).datasource(SOURCE).multi(True)
    variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
    everything = model.VariableOption(selected=True, text="All", value="$__all")
    return variable.include_all(True).all_value(".*").current(everything)


def _restarts() -> board.AnnotationQuery:
    """Mark where a process began: its counters begin anew, or its instance was not there before."""
    there = f"poolwatch_build_info{{{PROCESS}}}"
    began = (
        f"count by (job) (resets(poolwatch_watcher_cpu_seconds_total{{{PROCESS}}}[2m]) > 0 "
        f"or ({there} unless last_over_time({there}[1h] offset 2m)))"
    )
    return _annotation("Deploys and restarts", "blue", began, "{{job}} started")


def _alerts() -> board.AnnotationQuery:
    firing = f'ALERTS{{alertname=~"Poolwatch.+", alertstate="firing", {PROCESS}}}'
    return _annotation("Alerts", "red", firing, "{{alertname}} {{pool}}")


def _begins() -> board.AnnotationQuery:
    """Mark where a finding was not open a minute ago."""
    open_now = f"poolwatch_findings{{{OWN}}}"
    fresh = f"sum by (job, kind, pool) ({open_now} > 0 unless {open_now} offset 1m > 0)"
    return _annotation("Findings begin", "orange", fresh, "{{kind}} on {{pool}} of {{job}}")


def _annotation(name: str, color: str, expression: str, title: str) -> board.AnnotationQuery:
    annotation = board.AnnotationQuery().name(name).datasource(SOURCE).enable(True).hide(False).icon_color(color)
    return annotation.expr(expression).title_format(title)


def _siblings() -> board.DashboardLink:
    link = board.DashboardLink("poolwatch").type(model.DashboardLinkType.DASHBOARDS).tags(["poolwatch"])
    return link.include_vars(True).keep_time(True)
