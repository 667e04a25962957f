/**
 * What a chart draws: a family's series as uPlot wants them, their colours, scales and ticks.
 */
import uPlot from 'uplot';

import type { IFamily, ISeries, Role, Value } from '../protocol';

const MOST_DOTS = 40;
/** A loss spanning more than this is read on a logarithmic axis. */
const LOG_FROM = 100;
const EXTRA_COLOURS = ['--jt-extra1', '--jt-extra2', '--jt-extra3', '--jt-extra4'];

/** All steps of all series, and each series' values, lows and highs at them. */
export function alignedOf(series: ISeries[]): uPlot.AlignedData {
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

/** True for the family of learning rates, which hold until they change. */
export function isRate(family: IFamily): boolean {
  return /^lr\b/.test(family.name);
}

/** A rate's series with its last value repeated where the run is now. */
export function heldUntil(family: IFamily, step: Value): IFamily {
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

/** A series' line, and the two edges of its band. */
export function linesOf(one: ISeries, colour: string, isStepped: boolean): uPlot.Series[] {
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

/** Between least and greatest value where a point stands for several. */
export function bandsOf(series: ISeries[], colours: string[]): uPlot.Band[] {
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

/** One colour per series: by role; further series of a role get others. */
export function coloursOf(family: IFamily, node: HTMLElement): string[] {
  const css = getComputedStyle(node);
  const read = (name: string): string => css.getPropertyValue(name).trim() || '#3b82f6';
  const used = new Set<Role>();
  let extra = 0;
  return family.series.map(one => {
    if (one.role === 'parent' || !used.has(one.role)) {
      used.add(one.role);
      return read(`--jt-${one.role}`);
    }
    return read(EXTRA_COLOURS[extra++ % EXTRA_COLOURS.length] ?? '--jt-other');
  });
}

/** On a logarithmic axis a line for each power of ten, not for all nine values between. */
export function decades(grid: uPlot.Axis.Grid): uPlot.Axis {
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

/** True when no value is 0 or below. */
export function canBeLog(family: IFamily): boolean {
  const values = valuesOf(family);
  return values.length > 0 && values.every(value => value > 0);
}

/** True when a linear axis would flatten most of the curve. */
export function isWide(family: IFamily): boolean {
  const values = valuesOf(family);
  return canBeLog(family) && Math.max(...values) / Math.min(...values) > LOG_FROM;
}

/** One point gets room around it; more fill the width. */
export function xRange(_: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax {
  const [from, to] = [low ?? 0, high ?? 1];
  return from === to ? [from - 1, to + 1] : [from, to];
}

/** A little room above and below. */
export function yRange(_: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax {
  const [from, to] = [low ?? 0, high ?? 1];
  const room = from === to ? Math.abs(from) * 0.1 || 1 : 0.05 * (to - from);
  return [from - room, to + room];
}

/** A tick of the horizontal axis. */
export function stepText(step: number): string {
  return Number.isInteger(step) ? step.toLocaleString('en-US') : '';
}

/** The labels of a vertical axis: as many digits as tell one tick from the next, and no more. */
export function tickTexts(ticks: (number | null)[]): string[] {
  const known = ticks.filter((tick): tick is number => tick !== null);
  const gaps = known.slice(1).map((tick, index) => Math.abs(tick - (known[index] ?? 0)));
  const gap = Math.min(...gaps);
  const unit = Math.max(...known.map(Math.abs)) >= 1e6 ? 1e6 : 1;
  const digits = Number.isFinite(gap) ? Math.ceil(-Math.log10(gap / unit) - 1e-9) : 3;
  const format = new Intl.NumberFormat('en', {
    maximumFractionDigits: Math.max(0, Math.min(8, digits))
  });
  return ticks.map(tick => (tick === null ? '' : tickText(tick, unit, format)));
}

function tickText(tick: number, unit: number, format: Intl.NumberFormat): string {
  const size = Math.abs(tick);
  if (size >= 1e9 || (size > 0 && size < 1e-4)) {
    return String(Number(tick.toExponential(2))).replace('e+', 'e');
  }
  return format.format(tick / unit) + (unit > 1 && tick !== 0 ? 'M' : '');
}
