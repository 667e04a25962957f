/**
 * One chart: all series of a metric family over the steps, drawn by uPlot.
 */
import uPlot from 'uplot';

import type { IBest, IFamily, IMark, ISeries, Role, Value } from '../protocol';
import { element, setText } from './dom';
import { valueText } from './words';

const HEIGHT = 180;
const MOST_DOTS = 40;
/** A loss spanning more than this is read on a logarithmic axis. */
const LOG_FROM = 100;
const EXTRA_COLOURS = ['--jt-extra1', '--jt-extra2', '--jt-extra3', '--jt-extra4'];

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
  private _drawnAs = '';
  private _isLog: boolean | null = null;
  private _lastWidth = 400;
  private _values: HTMLElement[] = [];

  constructor(private readonly _sync: uPlot.SyncPubSub) {
    const head = element('div', 'jt-ChartHead');
    this._scale.type = 'button';
    this._scale.addEventListener('click', this._onScale);
    head.append(this._title, this._scale, this._legend);
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

  /** Draws anew, with the colours of the theme as it is now. */
  redraw(): void {
    this._drawnAs = '';
    this._draw();
  }

  /** Lets go of everything. */
  dispose(): void {
    this._resize.disconnect();
    this._scale.removeEventListener('click', this._onScale);
    this._plot?.destroy();
    this._plot = null;
  }

  private readonly _onScale = (): void => {
    this._isLog = !this._usesLog();
    this.redraw();
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
    const data = alignedOf(family.series);
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
      cursor: { sync: { key: this._sync.key }, points: { size: 6 }, drag: { x: true, y: false } },
      scales: { x: { time: false, range: xRange }, y: isLog ? { distr: 3 } : { range: yRange } },
      axes: [
        { ...axis, grid: { show: false }, values: (_, ticks) => ticks.map(stepText), size: 26 },
        {
          ...axis,
          ...(isLog ? decades(grid) : {}),
          values: (_, ticks) => ticks.map(tickText),
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
        setCursor: [plot => this._updateLegend(plot.cursor.idx ?? null)],
        drawClear: [plot => this._drawMarks(plot, text, font)],
        draw: [plot => this._ringBest(plot, colours)]
      }
    };
  }

  private _buildLegend(family: IFamily, colours: string[]): void {
    this._values = family.series.map(() => element('b', 'jt-Value'));
    this._legend.replaceChildren(
      ...family.series.map((one, index) => {
        const item = element('span', 'jt-LegendItem');
        const mark = element('i', 'jt-Mark');
        mark.style.background = colours[index] ?? '';
        const name = one.role === 'other' && one.name !== family.name ? one.name : one.role;
        item.append(mark, element('span', '', name === 'other' ? '' : name));
        item.append(this._values[index] ?? '');
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
      const x = plot.valToPos(mark.step, 'x', true);
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
    const x = plot.valToPos(step, 'x', true);
    ctx.arc(x, plot.valToPos(best.value, 'y', true), 5.5 * ratio, 0, 2 * Math.PI);
    ctx.stroke();
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

/** All steps of all series, and each series' values, lows and highs at them. */
function alignedOf(series: ISeries[]): uPlot.AlignedData {
  const steps = [...new Set(series.flatMap(one => one.steps))].sort((a, b) => a - b);
  const places = new Map(steps.map((step, index) => [step, index]));
  const columns = series.flatMap(one =>
    [one.values, one.lows, one.highs].map(values => {
      const column: (Value | undefined)[] = new Array<Value>(steps.length).fill(null);
      one.steps.forEach((step, index) => {
        column[places.get(step) ?? 0] = values[index] ?? null;
      });
      return column as Value[];
    })
  );
  return [steps, ...columns];
}

function isRate(family: IFamily): boolean {
  return /^lr\b/.test(family.name);
}

/** A rate's series with its last value repeated where the run is now. */
function heldUntil(family: IFamily, step: Value): IFamily {
  const series = family.series.map(one => {
    const end = one.steps[one.steps.length - 1] ?? 0;
    if (step === null || step <= end) {
      return one;
    }
    const last = one.values[one.values.length - 1] ?? null;
    return {
      ...one,
      steps: [...one.steps, step],
      values: [...one.values, last],
      lows: one.lows.length === 0 ? [] : [...one.lows, last],
      highs: one.highs.length === 0 ? [] : [...one.highs, last]
    };
  });
  return { ...family, series };
}

function linesOf(one: ISeries, colour: string, isStepped: boolean): uPlot.Series[] {
  const edge: uPlot.Series = {
    stroke: 'transparent',
    width: 0,
    spanGaps: true,
    points: { show: false }
  };
  const dots = {
    show: one.steps.length <= MOST_DOTS && !isStepped,
    size: 5,
    fill: colour,
    stroke: colour
  };
  const line: uPlot.Series = {
    label: one.name,
    stroke: colour,
    width: 1.8,
    spanGaps: true,
    points: dots
  };
  const stepped = uPlot.paths.stepped;
  if (isStepped && stepped !== undefined) {
    line.paths = stepped({ align: 1 });
  }
  return [line, { ...edge }, { ...edge }];
}

function bandsOf(series: ISeries[], colours: string[]): uPlot.Band[] {
  return series.flatMap((one, index) =>
    one.lows.length === 0
      ? []
      : [
          {
            series: [3 + 3 * index, 2 + 3 * index],
            fill: faint(colours[index] ?? '#888888')
          } as uPlot.Band
        ]
  );
}

function coloursOf(family: IFamily, node: HTMLElement): string[] {
  const css = getComputedStyle(node);
  const read = (name: string): string => css.getPropertyValue(name).trim() || '#3b82f6';
  const used = new Set<Role>();
  let extra = 0;
  return family.series.map(one => {
    if (!used.has(one.role)) {
      used.add(one.role);
      return read(`--jt-${one.role}`);
    }
    return read(EXTRA_COLOURS[extra++ % EXTRA_COLOURS.length] ?? '--jt-other');
  });
}

/** On a logarithmic axis a line for each power of ten, not for all nine values between. */
function decades(grid: uPlot.Axis.Grid): uPlot.Axis {
  const filter = (_: uPlot, ticks: number[]): (number | null)[] => {
    const whole = ticks.map(tick => (Number.isInteger(Math.log10(tick)) ? tick : null));
    return whole.filter(tick => tick !== null).length < 2 ? ticks : whole;
  };
  return { grid: { ...grid, filter }, filter };
}

function faint(colour: string): string {
  return /^#[0-9a-f]{6}$/i.test(colour) ? `${colour}2e` : colour;
}

function valuesOf(family: IFamily): number[] {
  const all = family.series.flatMap(one => [...one.values, ...one.lows, ...one.highs]);
  return all.filter((value): value is number => value !== null);
}

function canBeLog(family: IFamily): boolean {
  const values = valuesOf(family);
  return values.length > 0 && values.every(value => value > 0);
}

function isWide(family: IFamily): boolean {
  const values = valuesOf(family);
  return canBeLog(family) && Math.max(...values) / Math.min(...values) > LOG_FROM;
}

/** One point gets room around it; more fill the width. */
function xRange(_: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax {
  const [from, to] = [low ?? 0, high ?? 1];
  return from === to ? [from - 1, to + 1] : [from, to];
}

function yRange(_: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax {
  const [from, to] = [low ?? 0, high ?? 1];
  const room = from === to ? Math.abs(from) * 0.1 || 1 : 0.05 * (to - from);
  return [from - room, to + room];
}

function stepText(step: number): string {
  return Number.isInteger(step) ? step.toLocaleString('en-US') : '';
}

function tickText(tick: number | null): string {
  return tick === null ? '' : String(Number(tick.toPrecision(3)));
}
