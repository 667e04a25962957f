import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ISeries } from '../../protocol/types.js';
import { clampWindow, withNewestValues } from './zoom.js';

test('a window has whole steps inside the run, at least two', () => {
  assert.deepEqual(clampWindow({ first: 2.7, last: 5.2 }, 100), { first: 2, last: 6 });
  assert.deepEqual(clampWindow({ first: -5, last: 500 }, 100), { first: 0, last: 100 });
  assert.deepEqual(clampWindow({ first: 50, last: 50 }, 100), { first: 50, last: 51 });
  assert.deepEqual(clampWindow({ first: 200, last: 300 }, 100), { first: 99, last: 100 });
  assert.deepEqual(clampWindow({ first: 0, last: 0 }, 0), { first: 0, last: 1 });
});

test('fetched curves have the newest values of now', () => {
  const line = (name: string, last: number, steps: number[]): ISeries => {
    const role = 'train';
    return { name, role, isRate: false, count: 1, last, steps, values: steps, lows: [], highs: [] };
  };
  const fetched = { name: 'loss', series: [line('a', 1, [1, 2, 3]), line('gone', 2, [4])] };
  const now = { name: 'loss', series: [line('a', 9, [1, 3]), line('new', 5, [7])] };
  assert.deepEqual(withNewestValues(fetched, now), {
    name: 'loss',
    series: [line('a', 9, [1, 2, 3]), line('gone', 2, [4])].map((item, index) => ({
      ...item,
      steps: fetched.series[index]?.steps
    }))
  });
});
