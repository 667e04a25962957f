/**
 * Smoothing of a series: an exponential moving average, debiased at the start.
 */
import type { ISeries, Value } from '../../protocol/types.js';
import type { IChartView } from './chartView.js';

/** A series with fewer points, such as ten epochs of validation, is never smoothed. */
export const MIN_POINTS = 30;

/**
 * Returns a series as a view shows it.
 *
 * Lows and highs stay as they are, so that the band shows what was smoothed away.
 */
export function viewedSeries(
  series: ISeries,
  { smoothing, stepsPerUnit }: Pick<IChartView, 'smoothing' | 'stepsPerUnit'>
): ISeries {
  const isSmoothed = smoothing > 0 && series.values.length >= MIN_POINTS;
  const steps = stepsPerUnit === 1 ? series.steps : series.steps.map(step => step / stepsPerUnit);
  return {
    ...series,
    steps,
    values: isSmoothed ? movingAverage(series.values, smoothing) : series.values
  };
}

/**
 * Returns the debiased exponential moving average of a column; a missing value stays missing.
 *
 * @param smoothing - 0 for the values as they are, towards 1 for slower averages.
 */
export function movingAverage(values: readonly Value[], smoothing: number): Value[] {
  let sum = 0;
  let weight = 0;
  return values.map(value => {
    if (value === null) {
      return null;
    }
    sum = smoothing * sum + (1 - smoothing) * value;
    weight = smoothing * weight + (1 - smoothing);
    return sum / weight;
  });
}
