// What the dashboards are made of. Types and enumerations are Grafana's own; tsc checks everything against them.
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  FieldColorModeId,
  GraphDrawStyle,
  LegendDisplayMode,
  StackingMode,
  ThresholdsMode,
  TooltipDisplayMode,
  VariableHide,
  VariableRefresh,
  type Dashboard,
  type GraphFieldConfig,
  type Panel,
  type RowPanel,
  type Threshold,
} from '@grafana/schema';

/** One query of a panel. */
export interface Query {
  expr: string;
  legend?: string;
}

/** A panel before it has its place: a width of 24ths. */
export type Piece = Panel & { width: number; height: number };

/** Panels under a heading; a list of them is one column. */
export interface Section {
  title: string;
  pieces: Array<Piece | Piece[]>;
}

const datasource = { type: 'prometheus', uid: '${datasource}' };

/** A metric of the chosen daemons. */
export function metric(name: string, labels = '', range = ''): string {
  const chosen = ['instance=~"$instance"', labels].filter((part) => part !== '').join(',');
  return `fiscwatch_${name}{${chosen}}${range}`;
}

/** The rate of a counter, summed by labels. */
export function rate(name: string, by: string, labels = ''): string {
  return `sum by (${by}) (rate(${metric(name, labels, '[$__rate_interval]')}))`;
}

/** What a counter grew by over the time that is shown, summed by labels. */
export function growth(name: string, by: string, labels = ''): string {
  return `sum by (${by}) (increase(${metric(name, labels, '[$__range]')}))`;
}

/** A quantile of a histogram, by labels; over `window`. */
export function quantile(q: number, name: string, by = '', window = '[$__rate_interval]'): string {
  const labels = ['le', by].filter((part) => part !== '').join(', ');
  return `histogram_quantile(${q}, sum by (${labels}) (rate(${metric(`${name}_bucket`, '', window)})))`;
}

function targets(queries: Query[], instant: boolean): Array<Record<string, unknown>> {
  return queries.map(({ expr, legend }, at) => ({
    refId: String.fromCharCode(65 + at),
    datasource,
    editorMode: 'code',
    expr,
    instant,
    range: !instant,
    legendFormat: legend ?? '__auto',
  }));
}

/** Colours from given values on; the first is the colour below all of them. */
export function steps(below: string, ...from: Array<[number, string]>): Threshold[] {
  return [{ color: below, value: null }, ...from.map(([value, color]) => ({ color, value }))];
}

const plain = steps('text');

interface Look {
  width?: number;
  height?: number;
  decimals?: number;
  min?: number;
  max?: number;
  thresholds?: Threshold[];
  stacked?: boolean;
}

/** One figure. */
export function stat(title: string, description: string, unit: string, query: Query, look: Look = {}): Piece {
  const { width = 4, height = 4, decimals, thresholds = plain } = look;
  return {
    type: 'stat',
    title,
    description,
    width,
    height,
    datasource,
    targets: targets([query], true),
    fieldConfig: {
      defaults: {
        unit,
        decimals,
        noValue: '–',
        color: { mode: FieldColorModeId.Thresholds },
        thresholds: { mode: ThresholdsMode.Absolute, steps: thresholds },
      },
      overrides: [],
    },
    options: {
      colorMode: thresholds === plain ? BigValueColorMode.None : BigValueColorMode.Value,
      graphMode: BigValueGraphMode.None,
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
    },
  } satisfies Piece;
}

/** Curves over time. */
export function curves(title: string, description: string, unit: string, queries: Query[], look: Look = {}): Piece {
  const { width = 12, height = 8, decimals, min, max, stacked = false } = look;
  const custom: GraphFieldConfig = {
    drawStyle: GraphDrawStyle.Line,
    lineWidth: 1,
    fillOpacity: stacked ? 25 : 8,
    stacking: { mode: stacked ? StackingMode.Normal : StackingMode.None, group: 'A' },
  };
  return {
    type: 'timeseries',
    title,
    description,
    width,
    height,
    datasource,
    targets: targets(queries, false),
    fieldConfig: {
      defaults: { unit, decimals, min, max, color: { mode: FieldColorModeId.PaletteClassic }, custom: { ...custom } },
      overrides: [],
    },
    options: {
      legend: { displayMode: LegendDisplayMode.List, placement: 'bottom', showLegend: true, calcs: [] },
      tooltip: { mode: TooltipDisplayMode.Multi, sort: 'desc' },
    },
  } satisfies Piece;
}

/** A bar for each series. */
export function bars(title: string, description: string, unit: string, query: Query, look: Look = {}): Piece {
  const { width = 12, height = 8, decimals, min = 0, max, thresholds = steps('blue') } = look;
  return {
    type: 'bargauge',
    title,
    description,
    width,
    height,
    datasource,
    targets: targets([query], true),
    fieldConfig: {
      defaults: {
        unit,
        decimals,
        min,
        max,
        noValue: '–',
        color: { mode: FieldColorModeId.Thresholds },
        thresholds: { mode: ThresholdsMode.Absolute, steps: thresholds },
      },
      overrides: [],
    },
    options: {
      displayMode: BarGaugeDisplayMode.Basic,
      orientation: 'horizontal',
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
    },
  } satisfies Piece;
}

/** Puts pieces side by side, in rows under their headings. */
function place(sections: Section[]): Array<Panel | RowPanel> {
  const placed: Array<Panel | RowPanel> = [];
  let [y, id] = [0, 1];
  for (const { title, pieces } of sections) {
    placed.push({ type: 'row', id: id++, title, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } });
    y += 1;
    let [x, tallest] = [0, 0];
    for (const column of pieces.map((piece) => (Array.isArray(piece) ? piece : [piece]))) {
      const wide = Math.max(...column.map((piece) => piece.width));
      if (x + wide > 24) {
        [x, y, tallest] = [0, y + tallest, 0];
      }
      let below = 0;
      for (const { width, height, ...panel } of column) {
        placed.push({ ...panel, id: id++, gridPos: { x, y: y + below, w: width, h: height } });
        below += height;
      }
      x += wide;
      tallest = Math.max(tallest, below);
    }
    y += tallest;
  }
  return placed;
}

/** A dashboard; its uid never changes, because links point to it. */
export function dashboard(uid: string, title: string, description: string, sections: Section[]): Dashboard {
  return {
    uid,
    title,
    description,
    tags: ['fiscwatch'],
    schemaVersion: 41,
    editable: true,
    timezone: 'Asia/Shanghai',
    time: { from: 'now-24h', to: 'now' },
    refresh: '30s',
    links: [
      {
        type: 'dashboards',
        title: 'fiscwatch',
        tags: ['fiscwatch'],
        asDropdown: false,
        icon: 'external link',
        includeVars: true,
        keepTime: true,
        targetBlank: false,
        tooltip: '',
        url: '',
      },
    ],
    templating: {
      list: [
        {
          name: 'datasource',
          label: '数据源',
          type: 'datasource',
          query: 'prometheus',
          hide: VariableHide.dontHide,
          refresh: VariableRefresh.onDashboardLoad,
        },
        {
          name: 'instance',
          label: '实例',
          type: 'query',
          datasource,
          query: { query: 'label_values(fiscwatch_build_info, instance)', refId: 'instance' },
          refresh: VariableRefresh.onDashboardLoad,
          includeAll: true,
          multi: true,
          allValue: '.*',
          current: { text: 'All', value: '$__all' },
        },
      ],
    },
    panels: place(sections),
  } satisfies Dashboard;
}
