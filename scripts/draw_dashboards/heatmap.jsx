/** A heatmap of buckets over time: a column for each step, a row for each bucket, darker where more fell into it. */
import React, { useMemo } from 'react';
import { UPlotChart, UPlotConfigBuilder, useTheme2 } from '@grafana/ui';
import { getValueFormat, formattedValueToString } from '@grafana/data';

export function Heatmap({ data, width, height, timeRange, timeZone, options }) {
  const theme = useTheme2();
  const rows = data.series.map((frame) => ({ bound: frame.fields[1].labels.le, counts: frame.fields[1].values }));
  const times = data.series[0]?.fields[0].values ?? [];
  const config = useMemo(() => configured(rows, times, theme, timeRange, timeZone, options.yAxis?.unit), [data, theme]);
  if (!rows.length) {
    return null;
  }
  return (
    <UPlotChart
      config={config}
      data={[times, times.map(() => null)]}
      width={width}
      height={height}
      timeRange={timeRange}
    />
  );
}

function configured(rows, times, theme, timeRange, timeZone, unit) {
  const builder = new UPlotConfigBuilder(timeZone);
  builder.addScale({
    scaleKey: 'x',
    isTime: true,
    orientation: 0,
    direction: 1,
    range: () => [timeRange.from.valueOf(), timeRange.to.valueOf()],
  });
  builder.addScale({ scaleKey: 'y', orientation: 1, direction: 1, range: () => [0, rows.length] });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: 'bottom', theme, timeZone, grid: { show: false } });
  const named = (place) => (place < rows.length ? bound(rows[place].bound, unit) : '');
  builder.addAxis({
    scaleKey: 'y',
    placement: 'left',
    theme,
    grid: { show: false },
    splits: () => rows.map((_, place) => place + 0.5).filter((_, place) => place % Math.ceil(rows.length / 8) === 0),
    formatValue: (value) => named(Math.floor(value)),
  });
  builder.addSeries({
    scaleKey: 'y',
    pathBuilder: () => null,
    pointsBuilder: () => null,
    drawStyle: 'line',
    theme,
    show: true,
    lineWidth: 0,
  });
  builder.addHook('draw', (plot) => cells(plot, rows, times, theme));
  return builder;
}

function bound(text, unit) {
  return text === '+Inf' ? '+Inf' : formattedValueToString(getValueFormat(unit ?? 's')(Number(text)));
}

function cells(plot, rows, times, theme) {
  const { ctx } = plot;
  const most = Math.max(1e-9, ...rows.flatMap((row) => row.counts));
  const step = times.length > 1 ? times[1] - times[0] : 1000;
  ctx.save();
  rows.forEach((row, place) =>
    row.counts.forEach((count, at) => {
      if (count > 0) {
        const left = plot.valToPos(times[at] - step, 'x', true);
        const right = plot.valToPos(times[at], 'x', true);
        const top = plot.valToPos(place + 1, 'y', true);
        const bottom = plot.valToPos(place, 'y', true);
        ctx.fillStyle = shade(Math.sqrt(count / most), theme.isDark);
        ctx.fillRect(left, top, Math.max(1, right - left), bottom - top - 1);
      }
    })
  );
  ctx.restore();
}

function shade(part, dark) {
  const light = dark ? 20 + 45 * part : 92 - 47 * part;
  return `hsl(${35 - 15 * part} 90% ${light}%)`;
}
