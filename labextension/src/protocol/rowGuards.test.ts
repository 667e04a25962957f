import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asChanges } from './rowGuards.js';
import type { IRunRow } from './types.js';

const ROW = {
  key: 'key',
  ref: 'digits-k3f9',
  status: 'running',
  status_text: 'running, 7 of 30 epochs',
  ended_with: 'inf',
  kind: 'train',
  metric: 'val_acc',
  best: 0.9,
  mode: 'max',
  trail: [0.1, 0.9],
  created_at: 5,
  duration_s: 7,
  size_bytes: 9,
  tags: ['a'],
  notebook: 'a.ipynb',
  cell: 'c'
};
const EXPECTED: IRunRow = {
  key: 'key',
  ref: 'digits-k3f9',
  status: 'running',
  statusText: 'running, 7 of 30 epochs',
  endedWith: 'inf',
  kind: 'train',
  metric: 'val_acc',
  best: 0.9,
  isMaximized: true,
  trail: [0.1, 0.9],
  createdAt: 5,
  durationSeconds: 7,
  sizeBytes: 9,
  tags: ['a'],
  notebook: 'a.ipynb',
  cell: 'c'
};
const EMPTY: Record<string, Partial<IRunRow>> = {
  ref: { ref: '' },
  status_text: { statusText: 'running' },
  ended_with: { endedWith: '' },
  kind: { kind: '' },
  metric: { metric: '' },
  best: { best: null },
  mode: { isMaximized: false },
  trail: { trail: [] },
  created_at: { createdAt: 0 },
  duration_s: { durationSeconds: null },
  size_bytes: { sizeBytes: 0 },
  tags: { tags: [] },
  notebook: { notebook: '' },
  cell: { cell: '' }
};

function rowsOf(...runs: unknown[]): IRunRow[] {
  return asChanges({ runs })?.runs ?? [];
}

test('a row is read field by field', () => {
  assert.deepEqual(rowsOf(ROW), [EXPECTED]);
});

for (const [field, empty] of Object.entries(EMPTY)) {
  test(`a row whose ${field} is missing, null or of the wrong type is read without it`, () => {
    const missing = Object.fromEntries(Object.entries(ROW).filter(([name]) => name !== field));
    for (const row of [missing, { ...ROW, [field]: null }, { ...ROW, [field]: { x: 1 } }]) {
      assert.deepEqual(rowsOf(row), [{ ...EXPECTED, ...empty }]);
    }
  });
}

test('rows without a key or with an unknown status are left out', () => {
  for (const row of [
    null,
    7,
    'x',
    {},
    { ...ROW, key: '' },
    { ...ROW, key: 7 },
    { ...ROW, status: 'dancing' },
    { ...ROW, status: null }
  ]) {
    assert.deepEqual(rowsOf(row, ROW), [EXPECTED]);
  }
});

test('a message tells what is gone', () => {
  assert.deepEqual(asChanges({ gone: ['a', 7, null, 'b'], message: 'm' }), {
    runs: [],
    gone: ['a', 'b'],
    message: 'm'
  });
});

test('what is no message is null, and an empty one has no changes', () => {
  for (const json of [null, undefined, 7, 'x']) {
    assert.equal(asChanges(json), null);
  }
  for (const json of [{}, { runs: null, gone: 7, message: [] }]) {
    assert.deepEqual(asChanges(json), { runs: [], gone: [], message: '' });
  }
});
