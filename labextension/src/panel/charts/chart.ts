/**
 * One chart: all series of a metric group over the steps, drawn by uPlot.
 */
import uPlot from 'uplot';

import type { IBest, IMetricGroup, IMark, Value } from '../../protocol/types.js';
import { axesOf, rightOf } from './axes.js';
import { element, setText } from '../dom.js';
import { Legend } from './legend.js';
import { drawMarks, ringBest } from './overlay.js';
import { canBeLog, covered, coveredByLog, isGroupWide, within, withoutCurve } from './scales.js';
import { alignedOf, bandsOf, linesOf, paletteOf, xRange, type IPalette } from './series.js';
import { niceTicks } from './ticks.js';
import { PLAIN_VIEW, viewed, type IView } from './chartView.js';
import type { IZoomed } from './zoom.js';

const HEIGHT = 180;
/** A shorter drag was a click. In pixels. */
const LEAST_DRAG = 5;
/** A label of the horizontal axis takes no more. In pixels. */
const STEP_ROOM = 90;
/** A group drawn in its own element; updated in place as long as its series stay the same. */
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
  private _view: IView = PLAIN_VIEW;
  private _drawnAs = '';
  private _isLog: boolean | null = null;
  private _lastWidth = 400;
  private _isWaiting = false;
  private _isPointed = false;
  private _pointedAt = NaN;

  /**
   * @param _sync - The charts that share a cursor.
   * @param _zoom - Told which steps somebody wants to see.
   */
  constructor(
    private readonly _sync: uPlot.SyncPubSub,
    private readonly _zoom: IZoomed
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
   * Shows a group.
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

  /** Changes the way it is looked at. */
  setView(view: IView): void {
    if (view.window !== this._view.window) {
      this._isPointed = false; // what was dragged over is not asked for: the newest values again
    }
    this._view = view;
    this._draw();
  }

  /** Draws anew, with the colours of the theme as it is now. */
  redraw(): void {
    this._drawnAs = '';
    this._draw();
  }

  /** Lets go of everything. */
  dispose(): void {
    this._resize.disconnect();
    this._scale.removeEventListener('click', this._onScale);
    this._host.removeEventListener('wheel', this._onWheel);
    this._plot?.destroy();
    this._plot = null;
  }

  private readonly _onScale = (): void => {
    this._isLog = !this._usesLog();
    this.redraw();
  };

  /** What was selected becomes the window; double-click gives everything back. */
  private _onSelect(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width >= LEAST_DRAG) {
      const unit = this._view.stepsPerUnit;
      const [first, last] = [left, left + width].map(place => plot.posToVal(place, 'x') * unit);
      plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      this._zoom.set({ first: first ?? 0, last: last ?? 0 });
    }
  }

  /** A sideways wheel, or one with Shift, moves the window. */
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

  private readonly _xRange: uPlot.Range.Function = (plot, low, high) => {
    const { window, stepsPerUnit } = this._view;
    return window === null
      ? xRange(plot, low, high)
      : [window.first / stepsPerUnit, window.last / stepsPerUnit];
  };

  private _usesLog(): boolean {
    return this._isLog ?? (this._group !== null && isGroupWide(this._group));
  }

  private _draw(): void {
    const group = this._group;
    if (group === null) {
      return;
    }
    setText(this._title, group.name);
    setText(this._note, withoutCurve(group));
    this._note.hidden = this._note.textContent === '';
    const isLog = this._usesLog() && canBeLog(group);
    setText(this._scale, isLog ? 'log' : 'linear');
    this._scale.setAttribute(
      'aria-label',
      `${group.name}: ${isLog ? 'log' : 'linear'} scale, switch`
    );
    this._scale.classList.toggle('jt-mod-hidden', !canBeLog(group));
    this._isWaiting = !this.node.isConnected;
    if (this._isWaiting) {
      return; // there is no theme to read colours and fonts from; `_fit` draws once there is
    }
    const palette = paletteOf(group, this.node);
    const shape = JSON.stringify([
      isLog,
      palette,
      group.series.map(one => [one.name, one.lows.length > 0])
    ]);
    const data = alignedOf(group.series.map(one => viewed(one, this._view)));
    if (this._plot === null || shape !== this._drawnAs) {
      this._create(group, data, isLog, palette);
      this._drawnAs = shape;
    } else {
      this._plot.setData(data);
    }
    this._updateLegend();
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
    this._legend.build(group, palette.looks);
  }

  private _options(
    group: IMetricGroup,
    { looks, text, line, font }: IPalette,
    isLog: boolean,
    width: number
  ): uPlot.Options {
    const range = isLog ? coveredByLog : covered;
    return {
      width,
      height: HEIGHT,
      legend: { show: false },
      padding: [null, plot => rightOf(plot, font, this._stepTicks), null, null],
      cursor: {
        sync: { key: this._sync.key },
        points: { size: 6 },
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => () => this._showAll() }
      },
      scales: {
        x: { time: false, range: this._xRange },
        y: {
          distr: isLog ? 3 : 1,
          range: (_, low: number | null, high: number | null) =>
            range(within(low ?? 1), within(high ?? 1))
        }
      },
      axes: axesOf(font, text, line, isLog, this._stepTicks),
      series: [
        {},
        ...group.series.flatMap((one, index) =>
          linesOf(one, looks[index] ?? { colour: text, dash: [] }, one.isRate)
        )
      ],
      bands: bandsOf(group.series, looks),
      hooks: {
        setSelect: [plot => this._onSelect(plot)],
        setCursor: [plot => this._onCursor(plot)],
        drawClear: [plot => drawMarks(plot, this._marks, this._view.stepsPerUnit, text, font)],
        draw: [
          plot => ringBest(plot, this._group ?? group, this._best, this._view.stepsPerUnit, looks)
        ]
      }
    };
  }

  /** Whole steps; of epochs there are parts. */
  private readonly _stepTicks = (
    plot: uPlot,
    _axis: number,
    low: number,
    high: number
  ): number[] => {
    const ticks = niceTicks(low, high, Math.max(2, Math.floor(plot.width / STEP_ROOM)));
    return this._view.stepsPerUnit === 1 ? ticks.filter(Number.isInteger) : ticks;
  };

  /** The pointer has moved here or in another chart; new data alone leaves it where it was. */
  private _onCursor(plot: uPlot): void {
    const left = plot.cursor.left ?? -1;
    if (left !== this._pointedAt) {
      this._pointedAt = left;
      this._isPointed = left >= 0;
    }
    this._updateLegend();
  }

  /** The values under the pointer, or the newest ones. */
  private _updateLegend(): void {
    const index = this._isPointed ? (this._plot?.cursor.idx ?? null) : null;
    this._legend.show(
      (this._group?.series ?? []).map((one, place) =>
        index === null ? one.last : this._valueNear(place, index)
      )
    );
  }

  private _valueNear(place: number, index: number): Value {
    const values = this._plot?.data[1 + 3 * place];
    for (let at = index; values !== undefined && at >= 0; at--) {
      const value = values[at];
      if (value !== null && value !== undefined) {
        return value;
      }
    }
    return null;
  }

  /** The room there is; the last known one while the page is hidden, as it is when the theme changes. */
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
