import assert from 'node:assert/strict';
import { test } from 'node:test';

import { clipOutliers, outlierNote } from './outliers.js';

const GOOD = [0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99];

test('the worst few are clipped where they lie far away', () => {
  const clipped = clipOutliers([...GOOD, 0.1, null], 'max');
  const indexes = clipped.isClipped.flatMap((isClipped, index) => (isClipped ? [index] : []));
  assert.deepEqual(indexes, [0, 10]); // 0.1, and the worst of the others
  assert.equal(clipped.values[10], 0.91);
  assert.equal(clipped.values[11], null);
  assert.equal(outlierNote(clipped, 'triangles'), '2 below 0.910: triangles');
});

test('for a loss the greatest are the worst', () => {
  const clipped = clipOutliers([...GOOD.map(value => 1 - value), 50], 'min');
  assert.equal(clipped.isClipped[10], true);
  assert.match(clipped.note, /above/);
});

test('even values, and few of them, stay as they are', () => {
  for (const values of [GOOD, [...GOOD.slice(1, 8), 0.1], [], [null]]) {
    const clipped = clipOutliers(values, 'max');
    assert.deepEqual(clipped.values, values);
    assert.equal(clipped.note, '');
    assert.equal(outlierNote(clipped, 'triangles'), '');
  }
});
