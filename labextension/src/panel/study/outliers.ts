/**
 * Clipping of outliers: the worst trials, where they would press the good ones together.
 */
import { valueText } from '../format.js';

/** With at least so many trials, this share of them may be clipped. */
const MIN_TRIALS = 10;
const MAX_CLIPPED_SHARE = 0.2;
/** They are clipped only where the axis would be so many times as long. */
const MIN_STRETCH = 2;

/** Values with the outliers clipped. */
export interface IClippedValues {
  /** Outliers are at the limit. */
  values: (number | null)[];
  /** Whether each value was clipped. */
  isClipped: boolean[];
  /** How many were clipped, and at which limit; empty where none was. */
  note: string;
}

/** Returns values, the worst few of them clipped where they lie far from all others. */
export function clipOutliers(
  values: readonly (number | null)[],
  mode: 'min' | 'max'
): IClippedValues {
  const sign = mode === 'max' ? 1 : -1;
  const limit = clipLimit(values, sign);
  const isClipped = values.map(
    value => value !== null && limit !== null && sign * (value - limit) < 0
  );
  const count = isClipped.filter(Boolean).length;
  const side = mode === 'max' ? 'below' : 'above';
  return {
    values: values.map((value, index) => (isClipped[index] ? limit : value)),
    isClipped,
    note: count === 0 ? '' : `${count} ${side} ${valueText(limit)}`
  };
}

/** Returns the note of a chart with clipped values, and how they are drawn; empty where none was clipped. */
export function outlierNote({ note }: IClippedValues, drawnAs: string): string {
  return note === '' ? '' : `${note}: ${drawnAs}`;
}

/** How clipped values are drawn where each trial has a mark of its own. */
export const AS_TRIANGLES = 'triangles at the edge';

/** Returns the worst value that is not clipped; null where none is clipped. */
function clipLimit(values: readonly (number | null)[], sign: 1 | -1): number | null {
  const known = values
    .filter((value): value is number => value !== null)
    .sort((a, b) => sign * (a - b));
  const [worst, best] = [known[0], known[known.length - 1]];
  const limit = known[Math.floor(known.length * MAX_CLIPPED_SHARE)];
  if (
    known.length < MIN_TRIALS ||
    worst === undefined ||
    best === undefined ||
    limit === undefined
  ) {
    return null;
  }
  return Math.abs(best - worst) > MIN_STRETCH * Math.abs(best - limit) ? limit : null;
}
