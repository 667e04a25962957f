import assert from 'node:assert/strict';
import { test } from 'node:test';

import { logTicks, niceTicks, tickLabels } from './ticks.js';

test('ticks are round numbers inside the range', () => {
  assert.deepEqual(niceTicks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(niceTicks(0.13, 0.94, 4), [0.25, 0.5, 0.75]);
  assert.deepEqual(niceTicks(-30, 70, 5), [-20, 0, 20, 40, 60]);
  assert.deepEqual(niceTicks(1e-12, 9e-12, 4), [2e-12, 4e-12, 6e-12, 8e-12]);
});

test('ticks of a logarithmic axis are powers of ten, thinned where there are many', () => {
  assert.deepEqual(logTicks(0.5, 2000, 5), [1, 10, 100, 1000]);
  assert.deepEqual(logTicks(1e-6, 1e6, 5), [1e-6, 1e-3, 1, 1e3, 1e6]);
});

test('within one decade they are multiples, and within less even steps', () => {
  assert.deepEqual(logTicks(1.5, 9, 5), [2, 5]);
  assert.deepEqual(logTicks(2.1, 2.9, 5), niceTicks(2.1, 2.9, 5));
});

test('labels have as many digits as the gap needs', () => {
  assert.deepEqual(tickLabels([0, 0.25, 0.5]), ['0', '0.25', '0.5']);
  assert.deepEqual(tickLabels([0.001, 0.0015]), ['0.001', '0.0015']);
  assert.deepEqual(tickLabels([1000, 2000]), ['1,000', '2,000']);
  assert.deepEqual(tickLabels([100_001, 100_002]), ['100,001', '100,002']);
});

test('millions, tiny and huge numbers are short', () => {
  assert.deepEqual(tickLabels([0, 2_500_000, 5_000_000]), ['0', '2.5M', '5M']);
  assert.deepEqual(tickLabels([1e-5, 2e-5]), ['1e-5', '2e-5']);
  assert.deepEqual(tickLabels([0, 1e10]), ['0', '1e10']);
  assert.deepEqual(tickLabels([1e-4, 1, 1e4]), ['1e-4', '1', '10,000']);
});

test('no tick, and zero alone, have labels too', () => {
  assert.deepEqual(tickLabels([]), []);
  assert.deepEqual(tickLabels([0]), ['0']);
  assert.deepEqual(tickLabels([7]), ['7']);
});
