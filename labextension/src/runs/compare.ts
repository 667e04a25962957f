/**
 * A tab with several runs laid over each other: one chart per metric, one colour per run.
 */
import { Widget } from '@lumino/widgets';
import uPlot from 'uplot';

import type { ServerLink } from '../api/server.js';
import { Chart } from '../panel/charts/chart.js';
import { element, setText } from '../panel/dom.js';
import { heldUntil } from '../panel/charts/series.js';
import { PLAIN_VIEW, type IWindow } from '../panel/charts/chartView.js';
import { ofText, valueText } from '../panel/format.js';
import { Zoom } from '../panel/charts/zoom.js';
import { asCurves, asPanel } from '../protocol/guards.js';
import { isPending } from '../protocol/status.js';
import type { IMetricGroup, ISnapshot } from '../protocol/types.js';

const LOOK_MS = 2_000;
const MOST_RUNS = 12;

/** The curves of some runs; live as long as one of them is. */
export class CompareTab extends Widget {
  private readonly _sync = uPlot.sync(`jt-compare-${Math.random()}`);
  private readonly _table = element('table', 'jt-CompareTable');
  private readonly _note = element('div', 'jt-RunsNote');
  private readonly _charts = new Map<string, Chart>();
  private readonly _host = element('div', 'jt-Charts');
  private readonly _zoom = new Zoom(
    window => this._askWindow(window),
    () => this._onZoom()
  );
  private _found: ISnapshot[] = [];
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
    void this._look();
  }

  /** Draws anew, with the colours of the theme as it is now. */
  redraw(): void {
    for (const chart of this._charts.values()) {
      chart.redraw();
    }
  }

  /** Lets go of everything. */
  override dispose(): void {
    window.clearTimeout(this._timer);
    this._zoom.dispose();
    for (const chart of this._charts.values()) {
      chart.dispose();
    }
    super.dispose();
  }

  private async _look(): Promise<void> {
    const answers = await Promise.all(
      this._keys.slice(0, MOST_RUNS).map(key => this._server.snapshot(key))
    );
    if (this.isDisposed) {
      return;
    }
    const found = answers.map(asPanel).flatMap(one => (one.kind === 'run' ? [one.snapshot] : []));
    this._show(found);
    if (found.some(one => isPending(one.status))) {
      this._timer = window.setTimeout(() => void this._look(), LOOK_MS);
    }
  }

  private _show(found: ISnapshot[]): void {
    const left = this._keys.length - MOST_RUNS;
    const notes = [
      found.length < Math.min(this._keys.length, MOST_RUNS) ? 'Some of these runs are gone.' : '',
      left > 0 ? `The first ${MOST_RUNS} runs are shown; ${left} more were selected.` : ''
    ];
    setText(this._note, notes.filter(Boolean).join(' '));
    this._note.hidden = this._note.textContent === '';
    this._showTable(found);
    this._found = found;
    const metricGroups = metricGroupsOf(found);
    this._zoom.update(
      metricGroups,
      found.some(one => isPending(one.status))
    );
    for (const group of metricGroups) {
      let chart = this._charts.get(group.name);
      if (chart === undefined) {
        chart = new Chart(this._sync, this._zoom);
        chart.setView({ ...PLAIN_VIEW, window: this._zoom.window });
        this._charts.set(group.name, chart);
        this._host.append(chart.node);
      }
      chart.update(this._zoom.closest(group), null, []);
    }
  }

  private _onZoom(): void {
    this._charts.forEach(chart => chart.setView({ ...PLAIN_VIEW, window: this._zoom.window }));
    this._show(this._found);
  }

  private async _askWindow({ first, last }: IWindow): Promise<IMetricGroup[] | null> {
    const answers = await Promise.all(
      this._found.map(async ({ run, ref, progress, metricGroups }) => {
        const closest = asCurves(await this._server.curves(run, first, last));
        return { ref, progress, metricGroups: closest ?? metricGroups };
      })
    );
    return metricGroupsOf(answers);
  }

  private _showTable(found: ISnapshot[]): void {
    const head = element('tr', '');
    head.append(...['run', 'status', 'epochs', 'best'].map(text => element('th', '', text)));
    const rows = found.map(one => {
      const row = element('tr', '');
      const best = one.best === null ? '–' : `${one.best.metric} ${valueText(one.best.value)}`;
      const cells = [one.ref, one.status, ofText(one.progress.epoch, one.progress.epochs), best];
      row.append(...cells.map(text => element('td', '', text)));
      return row;
    });
    this._table.replaceChildren(head, ...rows);
  }
}

/** One group per metric, with a series per run, none of them drawn beyond its own run's end. */
function metricGroupsOf(
  found: Pick<ISnapshot, 'ref' | 'progress' | 'metricGroups'>[]
): IMetricGroup[] {
  const byName = new Map<string, IMetricGroup>();
  for (const snapshot of found) {
    for (const series of snapshot.metricGroups.flatMap(group => group.series)) {
      const group = byName.get(series.name) ?? { name: series.name, series: [] };
      const held = heldUntil(series, snapshot.progress.step);
      group.series.push({ ...held, name: snapshot.ref, role: 'other' });
      byName.set(series.name, group);
    }
  }
  return [...byName.values()];
}
