/**
 * What an axis covers and whether it is logarithmic: the same rules as the picture's (`scales.py`).
 */
import type { IMetricGroup, Value } from '../../protocol/types.js';

const MARGIN = 0.05;
/** A logarithmic axis is for values of which so large a share lies below so small a part of the greatest. */
const FLAT_SHARE = 0.25;
const FLAT_PART = 0.01;
const MOST_NAMED = 4;
const LEAST = 1e-250;
const MOST = 1e250;

/**
 * True where a linear axis would press the curve onto its floor, so that a logarithmic one is drawn.
 *
 * All values are above 0, and at least a quarter of them lies below a hundredth of the greatest. Accuracies and other
 * numbers that merely lie in 0..1, a few of them close to 0, stay linear; so does a loss with one spike.
 */
export function isWide(values: readonly number[]): boolean {
  if (values.length === 0 || !values.every(value => value > 0)) {
    return false;
  }
  const floor = values.reduce((a, b) => Math.max(a, b), 0) * FLAT_PART;
  return values.filter(value => value < floor).length >= FLAT_SHARE * values.length;
}

/** True when no value of a group is 0 or below. */
export function canBeLog(group: IMetricGroup): boolean {
  const values = group.series.flatMap(one => known([...one.values, ...one.lows, ...one.highs]));
  return values.length > 0 && values.every(value => value > 0);
}

/** True where a group is drawn on a logarithmic axis unless somebody wants another. */
export function isGroupWide(group: IMetricGroup): boolean {
  return canBeLog(group) && isWide(group.series.flatMap(one => known(one.values)));
}

/** What an axis can end at: nothing whose differences and logarithms are no numbers any more. */
export function within(value: number): number {
  if (Math.abs(value) < LEAST && value !== 0) {
    return value < 0 ? 0 : LEAST;
  }
  return Math.max(-MOST, Math.min(MOST, value));
}

/** What a linear axis covers: the values, and a little room above and below. */
export function covered(low: number, high: number): [number, number] {
  const room = high > low ? MARGIN * (high - low) : Math.abs(low) * 0.1 || 1;
  return [low - room, high + room];
}

/** What a logarithmic axis covers. */
export function coveredByLog(low: number, high: number): [number, number] {
  const [first, last] = [Math.log10(low), Math.log10(high)];
  const room = last > first ? MARGIN * (last - first) : 0.1;
  return [10 ** (first - room), 10 ** (last + room)];
}

/** What is said in the place of a group's curves where it has points and none of them can be drawn; else nothing. */
export function withoutCurve(group: IMetricGroup): string {
  const hasPoints = group.series.some(one => one.steps.length > 0);
  if (!hasPoints || group.series.some(one => known(one.values).length > 0)) {
    return '';
  }
  const names = group.series.slice(0, MOST_NAMED).map(one => one.name);
  return `no value of ${names.join(', ')} is a finite number`;
}

function known(values: readonly Value[]): number[] {
  return values.filter((value): value is number => value !== null);
}
