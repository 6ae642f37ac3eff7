/** A Prometheus data source as small as it can be: ranges, instants, annotations, and values of labels. */
import { from, of } from 'rxjs';
import { DataSourceApi, FieldType } from '@grafana/data';
import { sceneGraph } from '@grafana/scenes';

export class Prometheus extends DataSourceApi {
  constructor(url, scrape) {
    super({
      id: 1,
      uid: 'prometheus',
      name: 'Prometheus',
      type: 'prometheus',
      jsonData: {},
      meta: { id: 'prometheus', info: {} },
    });
    this.url = url;
    this.scrape = scrape;
    this.interval = `${scrape}s`;
    this.annotations = {
      prepareQuery: (asked) => ({ ...asked, refId: 'Anno' }),
      processEvents: (asked, frames) => of(frames.flatMap((frame) => events(asked, frame))),
    };
  }

  query(request) {
    return from(this.answer(request));
  }

  async answer(request) {
    const step = Math.max(this.scrape, Math.round(request.intervalMs / 1000));
    const rate = Math.max(step + this.scrape, 4 * this.scrape);
    const range = Math.round((request.range.to.valueOf() - request.range.from.valueOf()) / 1000);
    const own = { __rate_interval: `${rate}s`, __interval: `${step}s`, __range: `${range}s` };
    const scoped = {
      ...request.scopedVars,
      ...Object.fromEntries(Object.entries(own).map(([name, value]) => [name, { text: value, value }])),
    };
    const frames = await Promise.all(request.targets.map((target) => this.frames(target, request, scoped, step)));
    return { data: frames.flat() };
  }

  async frames(target, request, scoped, step) {
    const query = sceneGraph.interpolate(request.scopedVars.__sceneObject.value.valueOf(), target.expr, scoped, choice);
    const end = request.range.to.valueOf() / 1000;
    if (target.instant) {
      return [table(target, await this.ask('query', { query, time: end }))];
    }
    const start = Math.floor(request.range.from.valueOf() / 1000 / step) * step;
    const series = await this.ask('query_range', { query, start, end, step });
    return target.format === 'heatmap' ? buckets(target, series) : series.map((one) => line(target, one));
  }

  async ask(what, parameters) {
    const answer = await (await fetch(`${this.url}/api/v1/${what}?${new URLSearchParams(parameters)}`)).json();
    if (answer.status !== 'success') {
      throw new Error(`${answer.error} in ${parameters.query}`);
    }
    return answer.data.result;
  }

  async metricFindQuery(query, options) {
    const [, selector, label] = query.match(/^label_values\((.+), (\w+)\)$/);
    const scope = options.scopedVars.__sceneObject.value.valueOf();
    const found = await this.ask('query', {
      query: `count by (${label}) (last_over_time(${sceneGraph.interpolate(scope, selector, options.scopedVars, choice)}[1h]))`,
    });
    return found.map((one) => ({ text: one.metric[label] }));
  }

  testDatasource() {
    return Promise.resolve({ status: 'success', message: '' });
  }
}

/** Give a variable's value as a regular expression, as Grafana's own data source does. */
function choice(value) {
  const escaped = [value].flat().map((one) => String(one).replace(/[\\^$*+?.()|[\]{}]/g, '\\\\$&'));
  return escaped.length === 1 ? escaped[0] : `(${escaped.join('|')})`;
}

function legend(target, labels) {
  return (target.legendFormat ?? '').replace(/{{(\w+)}}/g, (_, label) => labels[label] ?? '');
}

function line(target, { metric, values }) {
  const config = { displayNameFromDS: legend(target, metric) };
  return {
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: values.map(([at]) => at * 1000), config: {} },
      {
        name: 'Value',
        type: FieldType.number,
        values: values.map(([, value]) => Number(value)),
        labels: metric,
        config,
      },
    ],
  };
}

function table(target, samples) {
  const labels = [...new Set(samples.flatMap(({ metric }) => Object.keys(metric)))].filter(
    (name) => name !== '__name__'
  );
  return {
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: samples.map(({ value }) => value[0] * 1000), config: {} },
      ...labels.map((label) => ({
        name: label,
        type: FieldType.string,
        values: samples.map(({ metric }) => metric[label]),
        config: {},
      })),
      { name: 'Value', type: FieldType.number, values: samples.map(({ value }) => Number(value[1])), config: {} },
    ],
  };
}

/** Take the cumulative buckets apart, the lowest first. */
function buckets(target, series) {
  const sorted = [...series].sort(
    (a, b) => Number(a.metric.le.replace('+Inf', 'Infinity')) - Number(b.metric.le.replace('+Inf', 'Infinity'))
  );
  const lines = sorted.map((one) => line(target, one));
  return lines.map((one, place) => {
    const below = place ? lines[place - 1].fields[1].values : [];
    const values = one.fields[1].values.map((count, at) => Math.max(0, count - (below[at] ?? 0)));
    return { ...one, fields: [one.fields[0], { ...one.fields[1], values }] };
  });
}

/** Mark where a series begins, or begins again. */
function events(asked, frame) {
  const [times, values] = frame.fields;
  const gap = 3 * Math.min(...times.values.slice(1).map((at, place) => at - times.values[place]), Infinity);
  const begins = times.values.filter((at, place) => place === 0 || at - times.values[place - 1] > gap);
  const text = (asked.titleFormat ?? '').replace(/{{(\w+)}}/g, (_, label) => values.labels?.[label] ?? '');
  return begins.map((time) => ({ time, title: text, text, color: asked.iconColor }));
}
