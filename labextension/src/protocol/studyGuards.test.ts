import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asStudy } from './studyGuards.js';

const STUDY = {
  objectives: [{ metric: 'val_acc', mode: 'max' }],
  numbers: '0,1,2,3,4,5',
  states: 'cipfrw',
  values: ['0.9,,0.1'],
  seconds: '1,2',
  runs: 'a,b',
  params: [
    { name: 'lr', labels: [], is_log: true, values: '0.1,0.2', low: 0.01, high: 1 },
    { name: 'net', labels: ['a', 'b'], is_log: false, values: '0,1,0,1,0,1' }
  ],
  names: 14,
  curves: [{ trial: 3, state: 'p', epochs: '1,2,3', values: '0.1,0.2' }],
  importance: [{ name: 'lr', share: 0.7 }],
  front: '0,2'
};

test('a whole study is read column by column', () => {
  const study = asStudy(STUDY);
  assert.deepEqual(study?.numbers, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(study?.states, [
    'complete',
    'infeasible',
    'pruned',
    'failed',
    'running',
    'waiting'
  ]);
  assert.deepEqual(study?.values, [[0.9, null, 0.1, null, null, null]]);
  assert.deepEqual(study?.seconds, [1, 2, null, null, null, null]);
  assert.deepEqual(study?.runs, ['a', 'b', '', '', '', '']);
  assert.deepEqual(study?.params[0], {
    name: 'lr',
    labels: [],
    isLog: true,
    values: [0.1, 0.2, null, null, null, null],
    low: 0.01,
    high: 1
  });
  assert.deepEqual([study?.params[1]?.labels, study?.params[1]?.low], [['a', 'b'], null]);
  assert.equal(study?.paramCount, 14);
  assert.deepEqual(study?.curves, [
    { trial: 3, state: 'pruned', epochs: [1, 2, 3], values: [0.1, 0.2, null] }
  ]);
  assert.deepEqual(study?.importance, [{ name: 'lr', share: 0.7 }]);
  assert.deepEqual(study?.front, [0, 2]);
});

test('without an objective there is no study', () => {
  for (const json of [
    null,
    undefined,
    7,
    'x',
    [],
    {},
    { ...STUDY, objectives: [] },
    { ...STUDY, objectives: 7 }
  ]) {
    assert.equal(asStudy(json), null);
  }
});

for (const field of Object.keys(STUDY).filter(name => name !== 'objectives')) {
  test(`a study whose ${field} is missing, null or of the wrong type is read without it`, () => {
    const missing = Object.fromEntries(Object.entries(STUDY).filter(([name]) => name !== field));
    const [first, ...others] = [missing, { ...STUDY, [field]: null }, { ...STUDY, [field]: 7 }];
    const read = asStudy(first);
    assert.notEqual(read, null);
    assert.notDeepEqual(read, asStudy(STUDY));
    if (field !== 'names') {
      others.forEach(json => assert.deepEqual(asStudy(json), read));
    }
  });
}

test('unknown states and directions, and shares beyond 0 to 1, are bounded', () => {
  const study = asStudy({
    ...STUDY,
    objectives: [{ metric: 'a', mode: 'upwards' }, null],
    states: 'z',
    importance: [{ name: 'lr', share: 7 }, { share: -1 }, null]
  });
  assert.deepEqual(study?.objectives, [
    { metric: 'a', mode: 'max' },
    { metric: '', mode: 'max' }
  ]);
  assert.deepEqual(new Set(study?.states), new Set(['failed']));
  assert.deepEqual(
    study?.importance.map(({ share }) => share),
    [1, 0, 0]
  );
});

test('lists are bounded', () => {
  const many = Array.from({ length: 200 }, () => ({}));
  const study = asStudy({
    ...STUDY,
    objectives: many,
    params: many,
    curves: many,
    importance: many
  });
  const lengths = [study?.objectives, study?.params, study?.curves, study?.importance].map(
    list => list?.length
  );
  assert.deepEqual(lengths, [3, 12, 80, 12]);
});
