import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isLive, isPending, isStatus, type Status } from './status.js';

const ALL: Status[] = ['queued', 'running', 'paused', 'finished', 'stopped', 'failed', 'lost'];

test('every status is known, and nothing else is', () => {
  assert.deepEqual(ALL.filter(isStatus), ALL);
  for (const json of ['', 'Running', 'loading', null, 7, {}]) {
    assert.equal(isStatus(json), false);
  }
});

test('running and paused runs are live; queued ones are pending too', () => {
  assert.deepEqual(ALL.filter(isLive), ['running', 'paused']);
  assert.deepEqual(ALL.filter(isPending), ['queued', 'running', 'paused']);
});
