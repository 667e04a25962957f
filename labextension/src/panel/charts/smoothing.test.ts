import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ISeries, Value } from '../../protocol/types.js';
import { MIN_POINTS, movingAverage, viewedSeries } from './smoothing.js';

function series(values: Value[]): ISeries {
  const steps = values.map((_, step) => 10 * step);
  const role = 'train';
  return {
    name: 'a',
    role,
    isRate: false,
    count: steps.length,
    last: 7,
    steps,
    values,
    lows: [1],
    highs: [2]
  };
}

test('an average is debiased: a constant stays what it is from its first value on', () => {
  for (const value of movingAverage([4, 4, 4, 4], 0.9)) {
    assert.ok(Math.abs((value ?? NaN) - 4) < 1e-12);
  }
});

test('an average weighs earlier values by the smoothing', () => {
  const [first, second] = movingAverage([0, 1], 0.5);
  assert.equal(first, 0);
  assert.ok(Math.abs((second ?? NaN) - 2 / 3) < 1e-12); // (0.5 * 1) / (1 - 0.5 ** 2)
  assert.deepEqual(movingAverage([3, 1, 2], 0), [3, 1, 2]);
});

test('a missing value stays missing and does not move the average', () => {
  assert.deepEqual(movingAverage([null, 2, null, 2], 0.9), [null, 2, null, 2]);
});

test('a view smooths values alone, and only where there are many', () => {
  const long = series(Array.from({ length: MIN_POINTS }, (_, index) => index % 2));
  const smooth = viewedSeries(long, { smoothing: 0.9, stepsPerUnit: 1 });
  assert.notDeepEqual(smooth.values, long.values);
  assert.deepEqual({ ...smooth, values: [] }, { ...long, values: [] });
  const short = series(long.values.slice(1));
  assert.equal(viewedSeries(short, { smoothing: 0.9, stepsPerUnit: 1 }).values, short.values);
  assert.equal(viewedSeries(long, { smoothing: 0, stepsPerUnit: 1 }).values, long.values);
});

test('a view along epochs divides the steps', () => {
  assert.deepEqual(
    viewedSeries(series([1, 2, 3]), { smoothing: 0, stepsPerUnit: 20 }).steps,
    [0, 0.5, 1]
  );
});
