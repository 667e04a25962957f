import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { IMetricGroup, ISeries, Value } from '../../protocol/types.js';
import {
  canBeLog,
  clampToFinite,
  isGroupWide,
  isWide,
  linearRange,
  logRange,
  noCurveNote,
  stepRange
} from './scales.js';

function series(name: string, values: Value[], lows: Value[] = []): ISeries {
  const steps = values.map((_, step) => step);
  return {
    name,
    role: 'train',
    isRate: false,
    count: values.length,
    last: null,
    steps,
    values,
    lows,
    highs: []
  };
}

function group(...all: ISeries[]): IMetricGroup {
  return { name: 'loss', series: all };
}

const FALLING = [100, 10, 1, 0.1, 0.01, 0.001];

test('a curve that falls by decades is wide', () => {
  assert.equal(isWide(FALLING), true);
  assert.equal(isWide([0.9, 0.7, 0.5, 0.3]), false);
  assert.equal(isWide([...Array(9).fill(100), 0.1]), false); // one small value of ten
  assert.equal(isWide([...FALLING, 0]), false);
  assert.equal(isWide([]), false);
});

test('a group is logarithmic where all of its numbers are above 0', () => {
  assert.equal(isGroupWide(group(series('a', [...FALLING, null]))), true);
  assert.equal(canBeLog(group(series('a', [1, null, 2]))), true);
  assert.equal(canBeLog(group(series('a', [1, 2], [0, 1]))), false);
  assert.equal(canBeLog(group(series('a', [1, -2]))), false);
  assert.equal(canBeLog(group(series('a', [null]))), false);
});

test('a range has a margin, also around a single value', () => {
  assert.deepEqual(linearRange(0, 100), [-5, 105]);
  assert.deepEqual(linearRange(10, 10), [9, 11]);
  assert.deepEqual(linearRange(0, 0), [-1, 1]);
  const [low, high] = logRange(1, 100);
  assert.ok(Math.abs(Math.log10(low) + 0.1) < 1e-9 && Math.abs(Math.log10(high) - 2.1) < 1e-9);
  assert.ok(logRange(1, 1)[0] < 1 && logRange(1, 1)[1] > 1);
});

test('the horizontal range has room around a single step', () => {
  assert.deepEqual(stepRange(0, 9), [0, 9]);
  assert.deepEqual(stepRange(4, 4), [3, 5]);
  assert.deepEqual(stepRange(null, null), [0, 1]);
});

test('extreme values are clamped', () => {
  assert.deepEqual(
    [1e300, -1e300, 1e-300, -1e-300, 0, 5].map(clampToFinite),
    [1e250, -1e250, 1e-250, 0, 0, 5]
  );
});

test('a group without a finite number says so', () => {
  assert.equal(
    noCurveNote(group(series('a', [null]), series('b', [null]))),
    'no value of a, b is a finite number'
  );
  assert.equal(noCurveNote(group(series('a', [null, 1]))), '');
  assert.equal(noCurveNote(group(series('a', []))), '');
});
