/**
 * The charts of a run, one per metric group, with one zoom and one view for all of them.
 */
import uPlot from 'uplot';

import { isLive } from '../../protocol/status.js';
import type { IMetricGroup, ISnapshot } from '../../protocol/types.js';
import { Chart } from './chart.js';
import { element } from '../dom.js';
import { noCurveNote } from './scales.js';
import { extendRate } from './alignedData.js';
import { DEFAULT_VIEW, ChartViewBar, type IChartView } from './chartView.js';
import { Zoom, type FetchWindow } from './zoom.js';

let gridCount = 0;

/** A grid of charts; each exists for as long as its group is worth one. */
export class ChartGrid {
  readonly node = element('div', 'jt-Charts');
  private readonly _charts = new Map<string, Chart>();
  private readonly _sync = uPlot.sync(`jupyter-train-${gridCount++}`);
  private readonly _zoom: Zoom;
  private readonly _viewBar: ChartViewBar;
  private _view: IChartView = DEFAULT_VIEW;
  private _snapshot: ISnapshot | null = null;

  constructor(fetch: FetchWindow) {
    this._zoom = new Zoom(fetch, () => this._onZoom());
    this._viewBar = new ChartViewBar(this._zoom.node, view => this._setView(view));
  }

  /** The controls of the view: smoothing, and the horizontal axis. */
  get viewBar(): HTMLElement {
    return this._viewBar.node;
  }

  /** Shows the curves of a run; a search has none of its own. */
  update(snapshot: ISnapshot): void {
    this._snapshot = snapshot;
    this._zoom.update(snapshot.metricGroups, isLive(snapshot.status));
    this._viewBar.update(snapshot);
    this._viewBar.node.hidden = snapshot.study !== null;
    this._show(snapshot);
  }

  /** Draws every chart again, with the colours of the theme as it is now. */
  redraw(): void {
    this._charts.forEach(chart => chart.redraw());
  }

  /** Releases the charts. */
  dispose(): void {
    this._zoom.dispose();
    this._charts.forEach(chart => chart.dispose());
    this._charts.clear();
  }

  private _show(snapshot: ISnapshot): void {
    const groups = snapshot.study === null ? snapshot.metricGroups.filter(isWorthAChart) : [];
    const names = new Set(groups.map(({ name }) => name));
    for (const [name, chart] of this._charts) {
      if (!names.has(name)) {
        chart.node.remove();
        chart.dispose();
        this._charts.delete(name);
      }
    }
    for (const group of groups) {
      const { name, series } = this._zoom.detailed(group);
      const extended = series.map(line => extendRate(line, snapshot.progress.step));
      this._chart(name).update({ name, series: extended }, snapshot.best, snapshot.marks);
    }
  }

  private _chart(name: string): Chart {
    const known = this._charts.get(name);
    if (known !== undefined) {
      return known;
    }
    const chart = new Chart(this._sync, this._zoom);
    chart.setView(this._view);
    this._charts.set(name, chart);
    this.node.append(chart.node);
    return chart;
  }

  private _setView(change: Partial<IChartView>): void {
    const view = { ...this._view, ...change };
    this._view = view;
    this._charts.forEach(chart => chart.setView(view));
  }

  private _onZoom(): void {
    this._setView({ window: this._zoom.window });
    if (this._snapshot !== null) {
      this._show(this._snapshot);
    }
  }
}

/**
 * Returns whether a group gets a chart: a learning rate that never changed, or was never a number, gets none; a metric
 * that was never a number gets one that says so.
 */
function isWorthAChart(group: IMetricGroup): boolean {
  const isRate = group.series.every(({ isRate }) => isRate);
  if (isRate && group.series.every(({ steps }) => steps.length < 2)) {
    return false;
  }
  const hasCurve = group.series.some(({ values }) => values.some(value => value !== null));
  return hasCurve || (!isRate && noCurveNote(group) !== '');
}
