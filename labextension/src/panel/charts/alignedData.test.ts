import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ISeries, Value } from '../../protocol/types.js';
import { alignedData, extendRate, valueAtOrBefore } from './alignedData.js';

function series(steps: number[], values: Value[], change: Partial<ISeries> = {}): ISeries {
  return {
    name: 'a',
    role: 'train',
    isRate: false,
    count: steps.length,
    last: null,
    steps,
    values,
    lows: [],
    highs: [],
    ...change
  };
}

test('series share the sorted steps of all of them', () => {
  const [steps, first, , , second] = alignedData([
    series([0, 2, 4], [1, 2, 3]),
    series([1, 2], [5, 6])
  ]);
  assert.deepEqual(steps, [0, 1, 2, 4]);
  assert.deepEqual(first, [1, undefined, 2, 3]);
  assert.deepEqual(second, [undefined, 5, 6, undefined]);
});

test('a value that was no number is a gap, a step of another series is not', () => {
  const [, values] = alignedData([series([0, 1, 2], [1, null, 3]), series([5], [1])]);
  assert.deepEqual(values, [1, null, 3, undefined]);
});

test('points that stand for several values have their lows and highs', () => {
  const bucketed = series([0, 10], [2, 3], { lows: [1, null], highs: [4, 5] });
  assert.deepEqual(alignedData([bucketed]), [
    [0, 10],
    [2, 3],
    [1, null],
    [4, 5]
  ]);
  assert.deepEqual(alignedData([series([0], [1])]).slice(2), [[null], [null]]);
});

test('a step that was recorded twice has the later value', () => {
  assert.deepEqual(alignedData([series([0, 1, 1], [1, 2, 3])]).slice(0, 2), [
    [0, 1],
    [1, 3]
  ]);
});

test('no series has no data', () => {
  assert.deepEqual(alignedData([]), [[]]);
});

test('a learning rate holds until the step its run is at', () => {
  const rate = series([0, 5], [0.1, 0.05], { isRate: true });
  assert.deepEqual(extendRate(rate, 9).steps, [0, 5, 9]);
  assert.deepEqual(extendRate(rate, 9).values, [0.1, 0.05, 0.05]);
  assert.deepEqual(extendRate(rate, 9).lows, []);
  const bucketed = { ...rate, lows: [0.1, 0.04], highs: [0.2, 0.06] };
  assert.deepEqual(extendRate(bucketed, 9).lows, [0.1, 0.04, 0.05]);
  assert.deepEqual(extendRate(bucketed, 9).highs, [0.2, 0.06, 0.05]);
});

test('other series, and rates of a run without a later step, stay as they are', () => {
  const rate = series([0, 5], [0.1, 0.05], { isRate: true });
  const loss = series([0, 5], [2, 1]);
  assert.equal(extendRate(loss, 9), loss);
  assert.equal(extendRate(rate, 5), rate);
  assert.equal(extendRate(rate, null), rate);
  const empty = series([], [], { isRate: true });
  assert.equal(extendRate(empty, 9), empty);
});

test('the value under the pointer is the newest one until there', () => {
  const column = [1, null, undefined, 4];
  assert.deepEqual(
    [0, 1, 2, 3, 9].map(index => valueAtOrBefore(column, index)),
    [1, 1, 1, 4, 4]
  );
  assert.equal(valueAtOrBefore([null, undefined], 1), null);
  assert.equal(valueAtOrBefore(undefined, 3), null);
});
