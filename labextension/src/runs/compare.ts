/**
 * A tab that compares runs: one chart per metric, one colour per run.
 */
import { Widget } from '@lumino/widgets';
import uPlot from 'uplot';

import type { ServerLink } from '../api/server.js';
import { Chart } from '../panel/charts/chart.js';
import { element, setText } from '../panel/dom.js';
import { extendRate } from '../panel/charts/alignedData.js';
import { DEFAULT_VIEW, type IStepWindow } from '../panel/charts/chartView.js';
import { valueText } from '../panel/format.js';
import { Zoom } from '../panel/charts/zoom.js';
import { asCurves, asPanel } from '../protocol/guards.js';
import { isPending } from '../protocol/status.js';
import type { IMetricGroup, ISnapshot } from '../protocol/types.js';

const POLL_INTERVAL_MS = 2_000;
const MAX_RUNS = 12;

/** The curves of some runs; live as long as one of them is. */
export class CompareTab extends Widget {
  private readonly _sync = uPlot.sync(`jt-compare-${Math.random()}`);
  private readonly _table = element('table', 'jt-CompareTable');
  private readonly _note = element('div', 'jt-RunsNote');
  private readonly _charts = new Map<string, Chart>();
  private readonly _host = element('div', 'jt-Charts');
  private readonly _zoom = new Zoom(
    window => this._fetchWindow(window),
    () => this._onZoom()
  );
  private _snapshots: ISnapshot[] = [];
  private _timer = 0;

  constructor(
    private readonly _server: ServerLink,
    private readonly _keys: string[]
  ) {
    super();
    this.addClass('jt-Compare');
    this.addClass('jt-Colours');
    this._note.setAttribute('role', 'status');
    this.node.tabIndex = 0;
    this.node.append(this._note, this._table, this._zoom.node, this._host);
    setText(this._note, 'loading …');
    void this._poll();
  }

  /** Draws every chart again, with the colours of the theme as it is now. */
  redraw(): void {
    for (const chart of this._charts.values()) {
      chart.redraw();
    }
  }

  /** Releases the charts and the timer. */
  override dispose(): void {
    window.clearTimeout(this._timer);
    this._zoom.dispose();
    for (const chart of this._charts.values()) {
      chart.dispose();
    }
    super.dispose();
  }

  private async _poll(): Promise<void> {
    const answers = await Promise.all(
      this._keys.slice(0, MAX_RUNS).map(key => this._server.snapshot(key))
    );
    if (this.isDisposed) {
      return;
    }
    const snapshots = answers
      .map(asPanel)
      .flatMap(content => (content.kind === 'run' ? [content.snapshot] : []));
    this._show(snapshots);
    if (snapshots.some(({ status }) => isPending(status))) {
      this._timer = window.setTimeout(() => void this._poll(), POLL_INTERVAL_MS);
    }
  }

  private _show(snapshots: ISnapshot[]): void {
    const hidden = this._keys.length - MAX_RUNS;
    const notes = [
      snapshots.length < Math.min(this._keys.length, MAX_RUNS)
        ? 'Some of these runs are gsnapshot.'
        : '',
      hidden > 0 ? `The first ${MAX_RUNS} runs are shown; ${hidden} more were selected.` : ''
    ];
    setText(this._note, notes.filter(Boolean).join(' '));
    this._note.hidden = this._note.textContent === '';
    this._showTable(snapshots);
    this._snapshots = snapshots;
    const metricGroups = mergeByMetric(snapshots);
    this._zoom.update(
      metricGroups,
      snapshots.some(({ status }) => isPending(status))
    );
    for (const group of metricGroups) {
      let chart = this._charts.get(group.name);
      if (chart === undefined) {
        chart = new Chart(this._sync, this._zoom);
        chart.setView({ ...DEFAULT_VIEW, window: this._zoom.window });
        this._charts.set(group.name, chart);
        this._host.append(chart.node);
      }
      chart.update(this._zoom.detailed(group), null, []);
    }
  }

  private _onZoom(): void {
    this._charts.forEach(chart => chart.setView({ ...DEFAULT_VIEW, window: this._zoom.window }));
    this._show(this._snapshots);
  }

  private async _fetchWindow({ first, last }: IStepWindow): Promise<IMetricGroup[] | null> {
    const answers = await Promise.all(
      this._snapshots.map(async ({ run, ref, progress, metricGroups }) => {
        const fetched = asCurves(await this._server.curves(run, first, last));
        return { ref, progress, metricGroups: fetched ?? metricGroups };
      })
    );
    return mergeByMetric(answers);
  }

  private _showTable(snapshots: ISnapshot[]): void {
    const head = element('tr', '');
    head.append(...['run', 'status', 'epochs', 'best'].map(text => element('th', '', text)));
    const rows = snapshots.map(snapshot => {
      const row = element('tr', '');
      const best =
        snapshot.best === null ? '–' : `${snapshot.best.metric} ${valueText(snapshot.best.value)}`;
      const cells = [snapshot.ref, snapshot.statusText, statusPart(snapshot, 'epochs'), best];
      row.append(...cells.map(text => element('td', '', text)));
      return row;
    });
    this._table.replaceChildren(head, ...rows);
  }
}

/** Returns one group per metric, with a series per run. */
function mergeByMetric(
  snapshots: Pick<ISnapshot, 'ref' | 'progress' | 'metricGroups'>[]
): IMetricGroup[] {
  const byName = new Map<string, IMetricGroup>();
  for (const snapshot of snapshots) {
    for (const series of snapshot.metricGroups.flatMap(group => group.series)) {
      const group = byName.get(series.name) ?? { name: series.name, series: [] };
      const extended = extendRate(series, snapshot.progress.step);
      group.series.push({ ...extended, name: snapshot.ref, role: 'other' });
      byName.set(series.name, group);
    }
  }
  return [...byName.values()];
}

/** Returns the value of a part of the status line; empty where the line has no such part. */
function statusPart({ statusLine }: ISnapshot, kind: string): string {
  return statusLine.find(part => part.kind === kind)?.value ?? '';
}
