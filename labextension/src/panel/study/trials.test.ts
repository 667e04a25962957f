import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asStudy } from '../../protocol/studyGuards.js';
import type { IStudy } from '../../protocol/types.js';
import {
  byImportance,
  paramText,
  ranking,
  tableOrder,
  trialDurationText,
  trialText
} from './trials.js';

function study(change: object = {}): IStudy {
  const read = asStudy({
    objectives: [{ metric: 'val_loss', mode: 'min' }],
    numbers: '0,1,2,3,4,5,6,7',
    states: 'ccfprwic',
    values: ['0.3,0.1,,0.9,,,0.01,'],
    params: [
      { name: 'lr', values: '0.1,0.2,0.3' },
      { name: 'net', labels: ['relu', 'tanh'], values: '1,0,9' }
    ],
    importance: [
      { name: 'lr', share: 0.2 },
      { name: 'net', share: 0.8 }
    ],
    ...change
  });
  return read ?? assert.fail();
}

test('complete trials with a value are ranked, the best first', () => {
  assert.deepEqual(ranking(study()), [1, 0]);
  assert.deepEqual(ranking(study({ objectives: [{ metric: 'val_acc', mode: 'max' }] })), [0, 1]);
  assert.deepEqual(ranking(study({ states: 'cccccccc', values: ['1,1,0,,,,,'] })), [2, 0, 1]);
});

test('the table has running trials first and the others last', () => {
  assert.deepEqual(tableOrder(study()), [4, 5, 1, 0, 6, 3, 2]);
});

test('a trial is worded by its values', () => {
  assert.equal(trialText(study(), 1), 'trial 1 (complete) · val_loss 0.100 · lr 0.200 · net relu');
  assert.equal(trialText(study(), 4), 'trial 4 (running) · lr – · net –');
});

test('a label that is not known is a dash', () => {
  const [, net] = study().params;
  assert.equal(net && paramText(net, 2), '–');
});

test('a short trial has tenths of seconds', () => {
  assert.deepEqual([4.24, 75, null].map(trialDurationText), ['4.2 s', '1:15', '–']);
});

test('the most important parameter is the first', () => {
  assert.deepEqual(
    byImportance(study()).map(({ name }) => name),
    ['net', 'lr']
  );
});
