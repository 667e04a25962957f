/**
 * The data of a chart as uPlot takes it: one column of steps, and three columns a series.
 */
import type uPlot from 'uplot';

import type { ISeries, Value } from '../../protocol/types.js';

/** The columns of each series: values, lows and highs. */
export const COLUMNS_PER_SERIES = 3;

/** Returns all steps of all series, and the values, lows and highs of each series at them. */
export function alignedData(allSeries: readonly ISeries[]): uPlot.AlignedData {
  const steps = [...new Set(allSeries.flatMap(series => series.steps))].sort((a, b) => a - b);
  const indexes = new Map(steps.map((step, index) => [step, index]));
  const columns = allSeries.flatMap(series =>
    [series.values, series.lows, series.highs].map(values => {
      // undefined where only another series has a step: the line continues; null where this one has no number: a gap
      const column = new Array<Value | undefined>(steps.length).fill(undefined);
      series.steps.forEach((step, index) => {
        column[indexes.get(step) ?? 0] = values[index] ?? null;
      });
      return column;
    })
  );
  return [steps, ...columns];
}

/** Returns a series; a learning rate, which is recorded when it changes, is extended to the step its run is at. */
export function extendRate(series: ISeries, step: Value): ISeries {
  const end = series.steps[series.steps.length - 1];
  if (!series.isRate || step === null || end === undefined || step <= end) {
    return series;
  }
  const last = series.values[series.values.length - 1] ?? null;
  return {
    ...series,
    steps: [...series.steps, step],
    values: [...series.values, last],
    lows: series.lows.length === 0 ? [] : [...series.lows, last],
    highs: series.highs.length === 0 ? [] : [...series.highs, last]
  };
}

/** Returns the newest value of a column at an index or before it; null where there is none. */
export function valueAtOrBefore(
  column: ArrayLike<Value | undefined> | undefined,
  index: number
): Value {
  for (let at = index; column !== undefined && at >= 0; at--) {
    const value = column[at];
    if (value !== null && value !== undefined) {
      return value;
    }
  }
  return null;
}
