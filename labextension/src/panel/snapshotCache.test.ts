import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asPanel } from '../protocol/guards.js';
import type { ISnapshot } from '../protocol/types.js';
import { SnapshotCache } from './snapshotCache.js';

function snapshot(run: string): ISnapshot {
  const content = asPanel({ schema: 1, status: 'running', run });
  return content.kind === 'run' ? content.snapshot : assert.fail();
}

test('the newest snapshot of a run is kept', () => {
  const cache = new SnapshotCache();
  const [first, second] = [snapshot('a'), snapshot('a')];
  assert.equal(cache.get('a'), undefined);
  cache.publish(first);
  cache.publish(second);
  assert.equal(cache.get('a'), second);
});

test('the runs that were published longest ago are dropped', () => {
  const cache = new SnapshotCache();
  cache.publish(snapshot('first'));
  cache.publish(snapshot('again'));
  for (let run = 0; run < 64; run++) {
    cache.publish(snapshot('again'));
    cache.publish(snapshot(String(run)));
  }
  assert.equal(cache.get('first'), undefined);
  assert.notEqual(cache.get('again'), undefined);
});

test('listeners hear of snapshots until they unsubscribe', () => {
  const cache = new SnapshotCache();
  const heard: string[] = [];
  const unsubscribe = cache.subscribe(({ run }) => heard.push(run));
  cache.publish(snapshot('a'));
  unsubscribe();
  cache.publish(snapshot('b'));
  assert.deepEqual(heard, ['a']);
});
