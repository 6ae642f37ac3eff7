/** The four kinds of panels that the dashboards use, from the components of @grafana/ui. Grafana's own panels are not published. */
import React from 'react';
import { BigValue, BigValueTextMode, TimeSeries, useTheme2, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import {
  cacheFieldDisplayNames,
  FieldColorModeId,
  FieldConfigProperty,
  getFieldDisplayValues,
  PanelPlugin,
} from '@grafana/data';

import { Heatmap } from './heatmap';

const LINES = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  fillOpacity: 0,
  gradientMode: 'none',
  showPoints: 'auto',
  pointSize: 5,
  stacking: { mode: 'none', group: 'A' },
  axisPlacement: 'auto',
  axisBorderShow: false,
  spanNulls: false,
  scaleDistribution: { type: 'linear' },
  hideFrom: { tooltip: false, viz: false, legend: false },
  thresholdsStyle: { mode: 'off' },
};

function Lines({ data, width, height, timeZone, timeRange, options }) {
  const marks = marksOf(data);
  if (!data.series.length) {
    return <Nothing />;
  }
  return (
    <TimeSeries
      key={marks.length}
      frames={data.series}
      width={width}
      height={height}
      timeRange={timeRange}
      timeZone={timeZone}
      legend={options.legend}
      options={options}
    >
      {(config) => {
        config.addHook('draw', (plot) => marks.forEach((mark) => upright(plot, mark)));
        return null;
      }}
    </TimeSeries>
  );
}

function Nothing() {
  const theme = useTheme2();
  return (
    <div style={{ display: 'grid', placeItems: 'center', height: '100%', color: theme.colors.text.secondary }}>
      No data
    </div>
  );
}

function marksOf(data) {
  return (data.annotations ?? []).flatMap((frame) => {
    const column = (name) => frame.fields.find((field) => field.name === name)?.values ?? [];
    return column('time').map((at, row) => ({ at, color: column('color')[row] }));
  });
}

function upright({ ctx, bbox, valToPos }, { at, color }) {
  const x = Math.round(valToPos(at, 'x', true));
  if (x < bbox.left || x > bbox.left + bbox.width) {
    return;
  }
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = color;
  ctx.lineWidth = 1;
  ctx.globalAlpha = 1;
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(x - 5, bbox.top + bbox.height + 6);
  ctx.lineTo(x + 5, bbox.top + bbox.height + 6);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.fill();
  ctx.restore();
}

function Figure({ data, width, height, timeZone, options, fieldConfig, replaceVariables }) {
  const theme = useTheme2();
  const values = () =>
    getFieldDisplayValues({
      fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables,
      theme,
      data: data.series,
      timeZone,
    });
  const render = ({ value, width, height }) => (
    <BigValue
      value={value.display}
      width={width}
      height={height}
      theme={theme}
      colorMode={options.colorMode}
      textMode={BigValueTextMode.Value}
    />
  );
  return (
    <VizRepeater
      getValues={values}
      renderValue={render}
      width={width}
      height={height}
      source={data}
      orientation="auto"
    />
  );
}

function List({ data, width, height, timeRange, options }) {
  if (!data.series.length || !data.series[0].length) {
    return <Nothing />;
  }
  cacheFieldDisplayNames(data.series);
  return (
    <TableNG
      data={data.series[0]}
      width={width}
      height={height}
      timeRange={timeRange}
      initialSortBy={options.sortBy}
      noHeader={false}
      structureRev={data.structureRev ?? 1}
    />
  );
}

function custom(color, defaults) {
  return {
    standardOptions: { [FieldConfigProperty.Color]: { defaultValue: { mode: color } } },
    useCustomConfig: (builder) => {
      for (const [path, defaultValue] of Object.entries(defaults)) {
        builder.addCustomEditor({
          id: path,
          path,
          name: path,
          defaultValue,
          editor: () => null,
          override: () => null,
          process: (value) => value,
          shouldApply: () => true,
        });
      }
    },
  };
}

function plugin(id, component, color, defaults = {}) {
  const made = new PanelPlugin(component)
    .useFieldConfig(custom(color, defaults))
    .setDataSupport({ annotations: true, alertStates: false });
  made.meta = { id, name: id, type: 'panel', module: '', baseUrl: '', info: { version: '13.2.0', logos: {} } };
  return made;
}

export const plugins = {
  timeseries: plugin('timeseries', Lines, FieldColorModeId.PaletteClassic, LINES),
  stat: plugin('stat', Figure, FieldColorModeId.Thresholds),
  table: plugin('table', List, FieldColorModeId.Thresholds, {
    align: 'auto',
    width: undefined,
    cellOptions: { type: 'auto' },
    inspect: false,
  }),
  heatmap: plugin('heatmap', Heatmap, FieldColorModeId.PaletteClassic, { hideFrom: LINES.hideFrom }),
};
