/**
 * The chart of a metric group: all of its series over the steps, drawn by uPlot.
 */
import uPlot from 'uplot';

import type { IBest, IMark, IMetricGroup } from '../../protocol/types.js';
import { element, setText } from '../dom.js';
import { alignedData, COLUMNS_PER_SERIES, valueAtOrBefore } from './alignedData.js';
import { chartAxes, rightPadding, type StepTicks } from './axes.js';
import { DEFAULT_VIEW, type IChartView } from './chartView.js';
import { Legend } from './legend.js';
import { drawMarks, ringBest } from './overlay.js';
import {
  canBeLog,
  clampToFinite,
  isGroupWide,
  linearRange,
  logRange,
  noCurveNote,
  stepRange
} from './scales.js';
import { bandOptions, seriesOptions, themePalette, type IPalette } from './seriesStyle.js';
import { viewedSeries } from './smoothing.js';
import { niceTicks } from './ticks.js';
import type { IZoomTarget } from './zoom.js';

const HEIGHT = 180;
/** A shorter drag is a click. In pixels. */
const MIN_DRAG = 5;
/** A label of the horizontal axis takes no more. In pixels. */
const MAX_STEP_LABEL_WIDTH = 90;

/** A chart in its own element; updated in place as long as its series stay the same. */
export class Chart {
  readonly node = element('div', 'jt-Chart');
  private readonly _title = element('span', 'jt-ChartTitle');
  private readonly _scale = element('button', 'jt-ScaleButton');
  private readonly _legend = new Legend();
  private readonly _host = element('div', 'jt-Plot');
  private readonly _note = element('div', 'jt-PlotNote');
  private readonly _resize: ResizeObserver;
  private _plot: uPlot | null = null;
  private _group: IMetricGroup | null = null;
  private _best: IBest | null = null;
  private _marks: IMark[] = [];
  private _view: IChartView = DEFAULT_VIEW;
  private _drawnShape = '';
  private _isLogChosen: boolean | null = null;
  private _lastWidth = 400;
  private _isWaiting = false;
  private _isPointed = false;
  private _pointedLeft = NaN;

  /**
   * @param _sync - The charts that share a cursor.
   * @param _zoom - Receives the steps that are selected by dragging.
   */
  constructor(
    private readonly _sync: uPlot.SyncPubSub,
    private readonly _zoom: IZoomTarget
  ) {
    const head = element('div', 'jt-ChartHead');
    this._scale.type = 'button';
    this._scale.addEventListener('click', this._onScale);
    head.append(this._title, this._scale, this._legend.node);
    this._host.title = 'drag to zoom, double-click to see all';
    this._host.addEventListener('wheel', this._onWheel, { passive: false });
    this._host.append(this._note);
    this.node.append(head, this._host);
    this._resize = new ResizeObserver(() => this._fit());
    this._resize.observe(this._host);
  }

  /**
   * Shows a metric group.
   *
   * @param best - Ringed where it belongs to one of the series.
   * @param marks - Commands, drawn as lines.
   */
  update(group: IMetricGroup, best: IBest | null, marks: IMark[]): void {
    this._group = group;
    this._best = best;
    this._marks = marks;
    this._draw();
  }

  /** Changes smoothing, horizontal axis and window. */
  setView(view: IChartView): void {
    if (view.window !== this._view.window) {
      this._isPointed = false; // the pointer was there to drag: the legend shows the newest values again
    }
    this._view = view;
    this._draw();
  }

  /** Draws the chart again, with the colours of the theme as it is now. */
  redraw(): void {
    this._drawnShape = '';
    this._draw();
  }

  /** Releases the plot and its listeners. */
  dispose(): void {
    this._resize.disconnect();
    this._scale.removeEventListener('click', this._onScale);
    this._host.removeEventListener('wheel', this._onWheel);
    this._plot?.destroy();
    this._plot = null;
  }

  private readonly _onScale = (): void => {
    this._isLogChosen = !this._usesLog();
    this.redraw();
  };

  /** Makes the selected steps the window. */
  private _onSelect(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width >= MIN_DRAG) {
      const unit = this._view.stepsPerUnit;
      const [first, last] = [left, left + width].map(x => plot.posToVal(x, 'x') * unit);
      plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      this._zoom.set({ first: first ?? 0, last: last ?? 0 });
    }
  }

  /** Moves the window by a sideways wheel, or by one with Shift. */
  private readonly _onWheel = (event: WheelEvent): void => {
    const by = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
    if (
      this._view.window !== null &&
      Math.abs(by) > (event.shiftKey ? 0 : Math.abs(event.deltaY))
    ) {
      event.preventDefault();
      this._zoom.pan(by / this._width());
    }
  };

  private _showAll(): null {
    this._zoom.set(null);
    return null;
  }

  private readonly _stepRange: uPlot.Range.Function = (_, low, high) => {
    const { window, stepsPerUnit } = this._view;
    return window === null
      ? stepRange(low, high)
      : [window.first / stepsPerUnit, window.last / stepsPerUnit];
  };

  private _usesLog(): boolean {
    return this._isLogChosen ?? (this._group !== null && isGroupWide(this._group));
  }

  private _draw(): void {
    const group = this._group;
    if (group === null) {
      return;
    }
    const isLog = this._usesLog() && canBeLog(group);
    this._drawHead(group, isLog);
    this._isWaiting = !this.node.isConnected;
    if (this._isWaiting) {
      return; // there is no theme to read colours and fonts from; `_fit` draws once there is
    }
    const palette = themePalette(group, this.node);
    const data = alignedData(group.series.map(series => viewedSeries(series, this._view)));
    const bands = group.series.map(({ name, lows }) => [name, lows.length > 0]);
    const shape = JSON.stringify([isLog, palette, bands]);
    if (this._plot === null || shape !== this._drawnShape) {
      this._create(group, data, isLog, palette);
      this._drawnShape = shape;
    } else {
      this._plot.setData(data);
    }
    this._updateLegend();
  }

  private _drawHead(group: IMetricGroup, isLog: boolean): void {
    setText(this._title, group.name);
    setText(this._note, noCurveNote(group));
    this._note.hidden = this._note.textContent === '';
    const scale = isLog ? 'log' : 'linear';
    setText(this._scale, scale);
    this._scale.setAttribute('aria-label', `${group.name}: ${scale} scale, switch`);
    this._scale.classList.toggle('jt-mod-hidden', !canBeLog(group));
  }

  private _create(
    group: IMetricGroup,
    data: uPlot.AlignedData,
    isLog: boolean,
    palette: IPalette
  ): void {
    this._plot?.destroy();
    const options = this._options(group, palette, isLog, this._width());
    this._plot = new uPlot(options, data, this._host);
    this._legend.build(group, palette.styles);
  }

  private _options(
    group: IMetricGroup,
    { styles, text, line, font }: IPalette,
    isLog: boolean,
    width: number
  ): uPlot.Options {
    const range = isLog ? logRange : linearRange;
    const unit = (): number => this._view.stepsPerUnit;
    return {
      width,
      height: HEIGHT,
      legend: { show: false },
      padding: [null, plot => rightPadding(plot, font, this._stepTicks), null, null],
      cursor: {
        sync: { key: this._sync.key },
        points: { size: 6 },
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => () => this._showAll() }
      },
      scales: {
        x: { time: false, range: this._stepRange },
        y: {
          distr: isLog ? 3 : 1,
          range: (_, low: number | null, high: number | null) =>
            range(clampToFinite(low ?? 1), clampToFinite(high ?? 1))
        }
      },
      axes: chartAxes(font, text, line, isLog, this._stepTicks),
      series: [
        {},
        ...group.series.flatMap((series, index) =>
          seriesOptions(series, styles[index] ?? { colour: text, dash: [] })
        )
      ],
      bands: bandOptions(group.series, styles),
      hooks: {
        setSelect: [plot => this._onSelect(plot)],
        setCursor: [plot => this._onCursor(plot)],
        drawClear: [plot => drawMarks(plot, this._marks, unit(), text, font)],
        draw: [plot => ringBest(plot, this._group ?? group, this._best, unit(), styles)]
      }
    };
  }

  /** Returns whole steps; epochs can have fractions. */
  private readonly _stepTicks: StepTicks = (plot, _axis, low, high) => {
    const max = Math.max(2, Math.floor(plot.width / MAX_STEP_LABEL_WIDTH));
    const ticks = niceTicks(low, high, max);
    return this._view.stepsPerUnit === 1 ? ticks.filter(Number.isInteger) : ticks;
  };

  /** Follows the pointer, which has moved here or in another chart; new data alone leaves it where it was. */
  private _onCursor(plot: uPlot): void {
    const left = plot.cursor.left ?? -1;
    if (left !== this._pointedLeft) {
      this._pointedLeft = left;
      this._isPointed = left >= 0;
    }
    this._updateLegend();
  }

  /** Shows the values under the pointer, or the newest ones. */
  private _updateLegend(): void {
    const cursor = this._isPointed ? (this._plot?.cursor.idx ?? null) : null;
    this._legend.show(
      (this._group?.series ?? []).map((series, index) =>
        cursor === null
          ? series.last
          : valueAtOrBefore(this._plot?.data[1 + COLUMNS_PER_SERIES * index], cursor)
      )
    );
  }

  /** Returns the width of the chart; the last known one while the page is hidden, as when the theme changes. */
  private _width(): number {
    this._lastWidth = this._host.clientWidth || this._lastWidth;
    return this._lastWidth;
  }

  private _fit(): void {
    if (this._isWaiting && this.node.isConnected) {
      this._draw();
    }
    const width = this._width();
    if (this._plot !== null && width !== this._plot.width) {
      this._plot.setSize({ width, height: HEIGHT });
    }
  }
}
