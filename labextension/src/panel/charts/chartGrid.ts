/**
 * The charts of a run, one a metric group, with one zoom and one way of looking for all of them.
 */
import uPlot from 'uplot';

import { isLive } from '../../protocol/status.js';
import type { IMetricGroup, ISnapshot } from '../../protocol/types.js';
import { Chart } from './chart.js';
import { element } from '../dom.js';
import { withoutCurve } from './scales.js';
import { heldUntil } from './series.js';
import { PLAIN_VIEW, ViewBar, type IView, type IWindow } from './chartView.js';
import { Zoom } from './zoom.js';

/** Gives the curves inside a window; null where nobody can. */
export type AskWindow = (window: IWindow) => Promise<IMetricGroup[] | null>;

let grids = 0;

/** Keeps a chart for as long as there is something to draw in it. */
export class ChartGrid {
  readonly node = element('div', 'jt-Charts');
  private readonly _charts = new Map<string, Chart>();
  private readonly _sync = uPlot.sync(`jupyter-train-${grids++}`);
  private readonly _zoom: Zoom;
  private readonly _viewBar: ViewBar;
  private _view: IView = PLAIN_VIEW;
  private _snapshot: ISnapshot | null = null;

  constructor(ask: AskWindow) {
    this._zoom = new Zoom(ask, () => this._onZoom());
    this._viewBar = new ViewBar(this._zoom.node, view => this._setView(view));
  }

  /** How the curves are looked at: per step or epoch, smoothed, logarithmic. */
  get bar(): HTMLElement {
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

  /** Draws anew, in the colours that hold by now. */
  redraw(): void {
    this._charts.forEach(chart => chart.redraw());
  }

  dispose(): void {
    this._zoom.dispose();
    this._charts.forEach(chart => chart.dispose());
    this._charts.clear();
  }

  private _show(snapshot: ISnapshot): void {
    const metricGroups = snapshot.study === null ? snapshot.metricGroups.filter(isWorthAChart) : [];
    const names = new Set(metricGroups.map(group => group.name));
    for (const [name, chart] of this._charts) {
      if (!names.has(name)) {
        chart.node.remove();
        chart.dispose();
        this._charts.delete(name);
      }
    }
    for (const group of metricGroups) {
      const { name, series } = this._zoom.closest(group);
      const held = series.map(one => heldUntil(one, snapshot.progress.step));
      this._chart(name).update({ name, series: held }, snapshot.best, snapshot.marks);
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

  private _setView(chosen: Partial<IView>): void {
    const view = { ...this._view, ...chosen };
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

/** A learning rate that never changed, or was no number, needs no chart; of a metric that is none, that is told. */
function isWorthAChart(group: IMetricGroup): boolean {
  const isRate = group.series.every(one => one.isRate);
  if (isRate && group.series.every(one => one.steps.length < 2)) {
    return false;
  }
  const hasCurve = group.series.some(one => one.values.some(value => value !== null));
  return hasCurve || (!isRate && withoutCurve(group) !== '');
}
