/**
 * The range of an axis and whether it is logarithmic: the same in the live chart as in the saved image.
 */
import type { IMetricGroup, Value } from '../../protocol/types.js';

const MARGIN = 0.05;
/** A logarithmic axis is for values of which this share lies below this fraction of the greatest. */
const MIN_SMALL_SHARE = 0.25;
const SMALL_FRACTION = 0.01;
const MAX_NAMES = 4;
const MIN_SIZE = 1e-250;
const MAX_SIZE = 1e250;

/**
 * Returns whether a linear axis would press the curve onto its floor, so that a logarithmic one is drawn.
 *
 * All values are above 0, and at least a quarter of them lies below a hundredth of the greatest. Accuracies and other
 * numbers that merely lie in 0..1, a few of them close to 0, stay linear; so does a loss with one spike.
 */
export function isWide(values: readonly number[]): boolean {
  if (values.length === 0 || !values.every(value => value > 0)) {
    return false;
  }
  const floor = values.reduce((a, b) => Math.max(a, b), 0) * SMALL_FRACTION;
  return values.filter(value => value < floor).length >= MIN_SMALL_SHARE * values.length;
}

/** Returns whether every value of a group is above 0. */
export function canBeLog(group: IMetricGroup): boolean {
  const values = group.series.flatMap(({ values, lows, highs }) =>
    knownValues([...values, ...lows, ...highs])
  );
  return values.length > 0 && values.every(value => value > 0);
}

/** Returns whether a group is drawn on a logarithmic axis by default. */
export function isGroupWide(group: IMetricGroup): boolean {
  return canBeLog(group) && isWide(group.series.flatMap(({ values }) => knownValues(values)));
}

/** Returns a value clamped to where differences and logarithms are still finite. */
export function clampToFinite(value: number): number {
  if (Math.abs(value) < MIN_SIZE && value !== 0) {
    return value < 0 ? 0 : MIN_SIZE;
  }
  return Math.max(-MAX_SIZE, Math.min(MAX_SIZE, value));
}

/** Returns the range of a linear axis: the values, and a margin above and below. */
export function linearRange(low: number, high: number): [number, number] {
  const margin = high > low ? MARGIN * (high - low) : Math.abs(low) * 0.1 || 1;
  return [low - margin, high + margin];
}

/** Returns the range of a logarithmic axis. */
export function logRange(low: number, high: number): [number, number] {
  const [first, last] = [Math.log10(low), Math.log10(high)];
  const margin = last > first ? MARGIN * (last - first) : 0.1;
  return [10 ** (first - margin), 10 ** (last + margin)];
}

/** Returns the note of a group that has points, none of which is a finite number; else an empty text. */
export function noCurveNote(group: IMetricGroup): string {
  const hasPoints = group.series.some(({ steps }) => steps.length > 0);
  if (!hasPoints || group.series.some(({ values }) => knownValues(values).length > 0)) {
    return '';
  }
  const names = group.series.slice(0, MAX_NAMES).map(({ name }) => name);
  return `no value of ${names.join(', ')} is a finite number`;
}

function knownValues(values: readonly Value[]): number[] {
  return values.filter((value): value is number => value !== null);
}

/** Returns the range of the horizontal axis: a single step gets room around it. */
export function stepRange(low: number | null, high: number | null): [number, number] {
  const [first, last] = [low ?? 0, high ?? 1];
  return first === last ? [first - 1, last + 1] : [first, last];
}
