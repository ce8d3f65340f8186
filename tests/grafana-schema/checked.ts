// What dashboards/*.json must be: Grafana's Dashboard with the options of each panel kind in use, as they read in JSON.
// tests/dashboards_types.rs writes `generated/NAME.ts` with `... satisfies Checked` for each dashboard.
import type { AnnotationQuery, Dashboard, FieldConfigSource, Panel, RowPanel, VariableModel } from '@grafana/schema';
import type * as Heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as Logs from '@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen';
import type * as NodeGraph from '@grafana/schema/dist/esm/raw/composable/nodegraph/panelcfg/x/NodeGraphPanelCfg_types.gen';
import type * as Stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as Table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as TimeSeries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// In JSON an enum is its value.
type Wire<T> = unknown extends T ? T
  : T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer Item)[] ? Wire<Item>[]
  : { [Key in keyof T]: Wire<T[Key]> };

// Grafana's type of custom fields lets any key pass; here they are those of the panel's kind.
type Custom<Source, Fields> = Source extends { defaults: infer Defaults }
  ? Omit<Source, 'defaults'> & { defaults: Omit<Defaults, 'custom' | 'links'> & { custom?: Fields; links?: DataLink[] } }
  : never;
type DataLink = { targetBlank: boolean; title: string; url: string };
type Target = { datasource: { type: string; uid: string }; refId: string; [key: string]: unknown };
type Of<Kind extends string, Options, Fields> = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Kind;
  options: Options;
  fieldConfig: Custom<FieldConfigSource, Fields>;
  targets: Target[];
};
type None = Record<string, never>;
type AnyPanel =
  | Of<'timeseries', TimeSeries.Options, TimeSeries.FieldConfig>
  | Of<'stat', Stat.Options, None>
  | Of<'table', Table.Options, Table.FieldConfig>
  | Of<'heatmap', Heatmap.Options, Heatmap.FieldConfig>
  | Of<'logs', Logs.Options, None>
  | Of<'nodeGraph', NodeGraph.Options, None>
  | Of<'flamegraph', None, None>
  | RowPanel;

// Loki's annotations keep their query beside the fields of the schema.
type LokiAnnotation = AnnotationQuery & { expr: string; tagKeys: string; textFormat: string; titleFormat: string };

export type Checked = Wire<
  Omit<Dashboard, 'panels' | 'annotations' | 'templating'> & {
    panels: AnyPanel[];
    annotations: { list: LokiAnnotation[] };
    templating: { list: VariableModel[] };
  }
>;
