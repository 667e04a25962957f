import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asChanges } from '../protocol/rowGuards.js';
import type { IRunRow } from '../protocol/types.js';
import { matchesFilter, sortRows, type Sort } from './rowOrder.js';

function row(key: string, change: object = {}): IRunRow {
  const json = { key, ref: key, status: 'finished', ...change };
  return asChanges({ runs: [json] })?.runs[0] ?? assert.fail();
}

const ROWS = [
  row('b', {
    created_at: 1,
    metric: 'val_acc',
    mode: 'max',
    best: 0.5,
    duration_s: 9,
    size_bytes: 1
  }),
  row('a', { created_at: 3, metric: 'val_acc', mode: 'max', best: 0.9, size_bytes: 3 }),
  row('d', { created_at: 2, duration_s: 5, size_bytes: 2 }),
  row('c', {
    created_at: 4,
    metric: 'a_loss',
    mode: 'min',
    best: 0.2,
    duration_s: 7,
    size_bytes: 9
  }),
  row('e', {
    created_at: 5,
    metric: 'a_loss',
    mode: 'min',
    best: 0.1,
    duration_s: 1,
    size_bytes: 8
  }),
  row('f', { created_at: 0, metric: 'a_loss', mode: 'min' })
];
const ORDERS: Record<Sort, string> = {
  newest: 'ecadbf',
  name: 'abcdef',
  best: 'ecfabd',
  duration: 'bcdeaf',
  size: 'ceadbf'
};

for (const [sort, order] of Object.entries(ORDERS)) {
  test(`rows are sorted by ${sort}`, () => {
    const sorted = sortRows(ROWS, sort as Sort);
    assert.equal(sorted.map(({ key }) => key).join(''), order);
    assert.equal(ROWS.map(({ key }) => key).join(''), 'badcef'); // they are not sorted in place
  });
}

test('runs of a metric with the same best value are sorted by age', () => {
  const same = [1, 3, 2].map(age => row(String(age), { created_at: age, metric: 'm', best: 1 }));
  assert.equal(
    sortRows(same, 'best')
      .map(({ key }) => key)
      .join(''),
    '321'
  );
});

test('a filter matches where every word is in name, status, metric, notebook or tags', () => {
  const run = row('Digits-k3f9', {
    metric: 'val_loss',
    notebook: 'work/a.ipynb',
    tags: ['nightly', 'GPU']
  });
  for (const filter of [
    '',
    'digits',
    'K3F9',
    'finished',
    'val_',
    'work/',
    'gpu night',
    'digits  loss'
  ]) {
    assert.equal(matchesFilter(run, filter), true, filter);
  }
  for (const filter of ['digitz', 'digits failed', 'running']) {
    assert.equal(matchesFilter(run, filter), false, filter);
  }
});
