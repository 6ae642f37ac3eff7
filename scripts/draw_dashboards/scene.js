/** Give the scene of a dashboard's JSON (schema version 1): variables, annotations, rows and panels. */
import {
  dataLayers,
  DataSourceVariable,
  EmbeddedScene,
  QueryVariable,
  SceneControlsSpacer,
  SceneDataLayerSet,
  SceneDataTransformer,
  SceneGridItem,
  SceneGridLayout,
  SceneGridRow,
  SceneQueryRunner,
  SceneTimePicker,
  SceneTimeRange,
  SceneVariableSet,
  TextBoxVariable,
  VariableValueSelectors,
  VizPanel,
} from '@grafana/scenes';

const SOURCE = { type: 'prometheus', uid: 'prometheus' };

export function sceneOf(board, chosen) {
  const rows = board.panels.filter((panel) => panel.type === 'row');
  return new EmbeddedScene({
    $timeRange: new SceneTimeRange({ from: chosen.from ?? board.time.from, to: chosen.to ?? 'now' }),
    $variables: new SceneVariableSet({ variables: board.templating.list.map((one) => variable(one, chosen)) }),
    $data: new SceneDataLayerSet({ layers: board.annotations.list.map(annotation) }),
    controls: [new VariableValueSelectors({}), new SceneControlsSpacer(), new SceneTimePicker({})],
    body: new SceneGridLayout({ children: rows.map((row) => section(row, board.panels)) }),
  });
}

function section(row, panels) {
  const begin = panels.indexOf(row) + 1;
  const after = panels.findIndex((panel, place) => place >= begin && panel.type === 'row');
  const members = panels.slice(begin, after < 0 ? undefined : after);
  return new SceneGridRow({ title: row.title, y: row.gridPos.y, isCollapsed: false, children: members.map(item) });
}

function item(panel) {
  const { x, y, w, h } = panel.gridPos;
  return new SceneGridItem({ x, y, width: w, height: h, body: viz(panel) });
}

function viz(panel) {
  const queries = panel.targets.map((target) => ({ ...target, datasource: SOURCE }));
  const answers = new SceneQueryRunner({ datasource: SOURCE, queries });
  return new VizPanel({
    key: `panel-${panel.id}`,
    pluginId: panel.type,
    title: panel.title,
    description: panel.description,
    options: panel.options ?? {},
    fieldConfig: panel.fieldConfig,
    titleItems: [],
    $data: new SceneDataTransformer({ $data: answers, transformations: panel.transformations ?? [] }),
  });
}

function variable(one, chosen) {
  if (one.type === 'datasource') {
    return new DataSourceVariable({
      name: one.name,
      label: one.label,
      pluginId: one.query,
      value: SOURCE.uid,
      text: 'Prometheus',
    });
  }
  if (one.type === 'textbox') {
    return new TextBoxVariable({ name: one.name, label: one.label, value: one.query, hide: one.hide });
  }
  const value = chosen[one.name] ?? '$__all';
  return new QueryVariable({
    name: one.name,
    label: one.label,
    query: one.query,
    datasource: SOURCE,
    isMulti: one.multi,
    includeAll: one.includeAll,
    allValue: one.allValue,
    value: [value],
    text: [value === '$__all' ? 'All' : value],
  });
}

function annotation(one) {
  return new dataLayers.AnnotationsDataLayer({
    name: one.name,
    isEnabled: one.enable,
    query: { ...one, datasource: SOURCE },
  });
}
