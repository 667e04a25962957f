/**
 * One chart: all series of a metric family over the steps, drawn by uPlot.
 */
import uPlot from 'uplot';

import type { IBest, IFamily, IMark, Value } from '../protocol';
import { element, setText } from './dom';
import {
  alignedOf,
  bandsOf,
  canBeLog,
  coloursOf,
  decades,
  heldUntil,
  isRate,
  isWide,
  linesOf,
  tickTexts,
  xRange,
  yRange
} from './series';
import { PLAIN_VIEW, viewed, type IView } from './view';
import { valueText } from './words';
import type { IZoomed } from './zoom';

const HEIGHT = 180;
/** A shorter drag was a click. In pixels. */
const LEAST_DRAG = 5;

/** A family drawn in its own element; updated in place as long as its series stay the same. */
export class Chart {
  readonly node = element('div', 'jt-Chart');
  private readonly _title = element('span', 'jt-ChartTitle');
  private readonly _scale = element('button', 'jt-ScaleButton');
  private readonly _legend = element('span', 'jt-Legend');
  private readonly _host = element('div', 'jt-Plot');
  private readonly _resize: ResizeObserver;
  private _plot: uPlot | null = null;
  private _family: IFamily | null = null;
  private _best: IBest | null = null;
  private _marks: IMark[] = [];
  private _view: IView = PLAIN_VIEW;
  private _drawnAs = '';
  private _isLog: boolean | null = null;
  private _lastWidth = 400;
  private _values: HTMLElement[] = [];

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
    head.append(this._title, this._scale, this._legend);
    this._host.title = 'drag to zoom, double-click to see all';
    this._host.addEventListener('wheel', this._onWheel, { passive: false });
    this.node.append(head, this._host);
    this._resize = new ResizeObserver(() => this._fit());
    this._resize.observe(this._host);
  }

  /**
   * Shows a family.
   *
   * @param best - Ringed where it belongs to one of the series.
   * @param marks - Commands, drawn as lines.
   * @param step - Where the run is: a learning rate is recorded when it changes and holds until now.
   */
  update(family: IFamily, best: IBest | null, marks: IMark[], step: Value): void {
    this._family = isRate(family) ? heldUntil(family, step) : family;
    this._best = best;
    this._marks = marks;
    this._draw();
  }

  /** Changes the way it is looked at. */
  setView(view: IView): void {
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
    return this._isLog ?? (this._family !== null && isWide(this._family));
  }

  private _draw(): void {
    const family = this._family;
    if (family === null) {
      return;
    }
    setText(this._title, family.name);
    const isLog = this._usesLog() && canBeLog(family);
    setText(this._scale, isLog ? 'log' : 'linear');
    this._scale.setAttribute(
      'aria-label',
      `${family.name}: ${isLog ? 'log' : 'linear'} scale, switch`
    );
    this._scale.classList.toggle('jt-mod-hidden', !canBeLog(family));
    const shape = JSON.stringify([
      isLog,
      family.series.map(one => [one.name, one.lows.length > 0])
    ]);
    const data = alignedOf(family.series.map(one => viewed(one, this._view)));
    if (this._plot === null || shape !== this._drawnAs) {
      this._create(family, data, isLog);
      this._drawnAs = shape;
    } else {
      this._plot.setData(data);
    }
    this._updateLegend(null);
  }

  private _create(family: IFamily, data: uPlot.AlignedData, isLog: boolean): void {
    this._plot?.destroy();
    const colours = coloursOf(family, this.node);
    this._plot = new uPlot(this._options(family, colours, isLog, this._width()), data, this._host);
    this._buildLegend(family, colours);
  }

  private _options(
    family: IFamily,
    colours: string[],
    isLog: boolean,
    width: number
  ): uPlot.Options {
    const css = getComputedStyle(this.node);
    const text = css.getPropertyValue('--jp-ui-font-color2').trim() || '#888';
    const grid = { stroke: css.getPropertyValue('--jt-line').trim() || '#8884', width: 1 };
    const font = `11px ${css.getPropertyValue('--jp-ui-font-family').trim() || 'sans-serif'}`;
    const axis = { stroke: text, font, grid, ticks: { show: false } };
    return {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: {
        sync: { key: this._sync.key },
        points: { size: 6 },
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => () => this._showAll() }
      },
      scales: {
        x: { time: false, range: this._xRange },
        y: isLog ? { distr: 3 } : { range: yRange }
      },
      axes: [
        { ...axis, grid: { show: false }, values: (_, ticks) => tickTexts(ticks), size: 26 },
        {
          ...axis,
          ...(isLog ? decades(grid) : {}),
          values: (_, ticks) => tickTexts(ticks),
          size: 52,
          space: 34
        }
      ],
      series: [
        {},
        ...family.series.flatMap((one, index) =>
          linesOf(one, colours[index] ?? text, isRate(family))
        )
      ],
      bands: bandsOf(family.series, colours),
      hooks: {
        setSelect: [plot => this._onSelect(plot)],
        setCursor: [plot => this._updateLegend(plot.cursor.idx ?? null)],
        drawClear: [plot => this._drawMarks(plot, text, font)],
        draw: [plot => this._ringBest(plot, colours)]
      }
    };
  }

  private _buildLegend(family: IFamily, colours: string[]): void {
    this._values = family.series.map(() => element('b', 'jt-Value'));
    const parent = family.series.findIndex(one => one.role === 'parent');
    this._legend.replaceChildren(
      ...family.series.map((one, index) => {
        const item = element('span', 'jt-LegendItem');
        const mark = element('i', 'jt-Mark');
        mark.style.background = colours[index] ?? '';
        const name = one.role === 'other' && one.name !== family.name ? one.name : one.role;
        item.append(mark, element('span', '', name === 'other' ? '' : name));
        if (one.role !== 'parent') {
          item.append(this._values[index] ?? '');
        } else if (index !== parent) {
          item.style.display = 'none'; // one word stands for all curves of the run this one was forked from
        }
        return item;
      })
    );
  }

  /** The values under the cursor, or the newest ones. */
  private _updateLegend(index: number | null): void {
    this._family?.series.forEach((one, place) => {
      const node = this._values[place];
      if (node !== undefined) {
        setText(node, valueText(index === null ? one.last : this._valueNear(place, index)));
      }
    });
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

  /** A dashed line where a command was carried out, its label beside it where there is room. */
  private _drawMarks(plot: uPlot, colour: string, font: string): void {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    let taken = -Infinity;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    ctx.lineWidth = ratio;
    ctx.font = font.replace(/^\d+/, size => String(Number(size) * ratio));
    ctx.textBaseline = 'top';
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    for (const mark of this._marks) {
      const x = plot.valToPos(mark.step / this._view.stepsPerUnit, 'x', true);
      if (x < bbox.left || x > bbox.left + bbox.width) {
        continue;
      }
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const width = ctx.measureText(mark.label).width + 4 * ratio;
      const isInside = x + width < bbox.left + bbox.width;
      const from = isInside ? x + 4 * ratio : x - width;
      if (from > taken) {
        ctx.textAlign = 'left';
        ctx.fillText(mark.label, from, bbox.top);
        taken = from + width;
      }
    }
    ctx.restore();
  }

  private _ringBest(plot: uPlot, colours: string[]): void {
    const best = this._best;
    const place = this._family?.series.findIndex(one => one.name === best?.metric) ?? -1;
    const series = this._family?.series[place];
    if (best === null || best.value === null || series === undefined) {
      return;
    }
    const steps = series.steps.filter(step => step <= best.step);
    const step = steps[steps.length - 1] ?? series.steps[0] ?? 0;
    const { ctx } = plot;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.strokeStyle = colours[place] ?? '';
    ctx.lineWidth = 2 * ratio;
    const x = plot.valToPos(step / this._view.stepsPerUnit, 'x', true);
    if (x >= plot.bbox.left && x <= plot.bbox.left + plot.bbox.width) {
      ctx.arc(x, plot.valToPos(best.value, 'y', true), 5.5 * ratio, 0, 2 * Math.PI);
      ctx.stroke();
    }
    ctx.restore();
  }

  /** The room there is; the last known one while the page is hidden, as it is when the theme changes. */
  private _width(): number {
    this._lastWidth = this._host.clientWidth || this._lastWidth;
    return this._lastWidth;
  }

  private _fit(): void {
    const width = this._width();
    if (this._plot !== null && width !== this._plot.width) {
      this._plot.setSize({ width, height: HEIGHT });
    }
  }
}
