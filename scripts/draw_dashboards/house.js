/** What a Grafana server's page gives to the libraries before they draw: theme, registries and services. */
import { Subject, of } from 'rxjs';
import { catchError, map } from 'rxjs/operators';
import {
  createTheme,
  EventBusSrv,
  identityOverrideProcessor,
  LoadingState,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
} from '@grafana/data';
import {
  config,
  setAppEvents,
  setBackendSrv,
  setDataSourceSrv,
  setPluginImportUtils,
  setRunRequest,
  setTemplateSrv,
} from '@grafana/runtime';
import { initPluginTranslations } from '@grafana/i18n';

import { plugins } from './panels';

const STANDARD = [
  'unit',
  'min',
  'max',
  'decimals',
  'displayName',
  'color',
  'noValue',
  'links',
  'mappings',
  'thresholds',
  'filterable',
];

export function prepare(mode, source) {
  const theme = createTheme({ colors: { mode } });
  config.theme2 = theme;
  config.theme = theme.v1;
  config.bootData = { user: { timezone: 'browser', locale: 'en-US', permissions: {} }, settings: {}, navTree: [] };
  config.buildInfo = { ...config.buildInfo, version: '13.2.0' };
  config.featureToggles = {};
  initPluginTranslations('grafana');
  standardFieldConfigEditorRegistry.setInit(() => STANDARD.map(fieldOption));
  standardTransformersRegistry.setInit(() => [transformer(standardTransformers.organizeFieldsTransformer)]);
  setAppEvents(new EventBusSrv());
  setBackendSrv({ fetch: () => new Subject() });
  setTemplateSrv({
    getVariables: () => [],
    replace: (text) => text ?? '',
    containsTemplate: () => false,
    updateTimeRange() {},
  });
  setDataSourceSrv(onlySource(source));
  setRunRequest(runRequest);
  setPluginImportUtils({
    importPanelPlugin: async (id) => plugins[id],
    getPanelPluginFromCache: (id) => plugins[id],
  });
  return theme;
}

function fieldOption(id) {
  return {
    id,
    path: id,
    name: id,
    settings: {},
    editor: () => null,
    override: () => null,
    process: identityOverrideProcessor,
    shouldApply: () => true,
    getItemsCount: () => 0,
  };
}

function transformer(transformation) {
  return {
    id: transformation.id,
    name: transformation.name,
    transformation: async () => transformation,
    editor: () => null,
  };
}

function onlySource(source) {
  const settings = {
    id: 1,
    uid: source.uid,
    name: source.name,
    type: 'prometheus',
    meta: source.meta,
    jsonData: {},
    isDefault: true,
  };
  return {
    get: async () => source,
    getList: () => [settings],
    getInstanceSettings: () => settings,
    reload() {},
  };
}

function runRequest(source, request) {
  const empty = { timeRange: request.range, request, annotations: [] };
  return source.query(request).pipe(
    map((answer) => ({ ...empty, state: LoadingState.Done, series: answer.data.map(toDataFrame) })),
    catchError((error) => {
      console.error(`refused: ${error.message}`);
      return of({ ...empty, state: LoadingState.Error, series: [], errors: [{ message: error.message }] });
    })
  );
}
