import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { asChanges } from '../protocol/rowGuards.js';
import type { IRunChanges } from '../protocol/types.js';
import { RunsModel } from './model.js';

let model: RunsModel;

function changes(...runs: object[]): IRunChanges {
  return asChanges({ runs: runs.map(run => ({ status: 'finished', ...run })) }) ?? assert.fail();
}

function keys(): string {
  return model.visible.map(({ key }) => key).join('');
}

beforeEach(() => {
  model = new RunsModel();
  model.reset();
  model.apply(
    changes(
      { key: 'a', ref: 'a', created_at: 1, status: 'running' },
      { key: 'b', ref: 'b', created_at: 2 }
    )
  );
});

test('a row that is sent again replaces the earlier one, and new ones are added', () => {
  model.apply(changes({ key: 'a', ref: 'renamed', created_at: 1 }, { key: 'c', created_at: 3 }));
  assert.equal(keys(), 'cba');
  assert.equal(model.visible[2]?.ref, 'renamed');
  assert.deepEqual([model.total, model.live], [3, 0]);
});

test('runs that are gone are removed, and not selected any more', () => {
  model.select(['a', 'b']);
  model.apply({ runs: [], gone: ['a', 'unknown'], message: '' });
  assert.equal(keys(), 'b');
  assert.deepEqual(
    model.selected.map(({ key }) => key),
    ['b']
  );
  model.apply(changes({ key: 'a', created_at: 1 }));
  assert.equal(model.isSelected('a'), false);
});

test('filter and order hold for rows that come later', () => {
  model.filter = 'run';
  model.sort = 'name';
  assert.equal(keys(), 'a');
  model.apply(changes({ key: 'z', ref: 'z-run' }, { key: 'c', ref: 'c-run' }));
  assert.equal(model.visible.map(({ ref }) => ref).join(), 'a,c-run,z-run');
  assert.deepEqual([model.all.length, model.total], [4, 4]);
});

test('selected runs are in the order of the list, and only visible ones', () => {
  model.select(['a', 'b']);
  model.toggle('a');
  model.toggle('a');
  assert.deepEqual(
    model.selected.map(({ key }) => key),
    ['b', 'a']
  );
  model.filter = 'running';
  assert.deepEqual(
    model.selected.map(({ key }) => key),
    ['a']
  );
});

test('a message is kept while the server is away, and a new stream drops the rows', () => {
  assert.equal(model.message, '');
  model.disconnect();
  assert.match(model.message, /does not answer/);
  assert.equal(keys(), 'ba');
  model.reset();
  assert.deepEqual([model.message, keys()], ['', '']);
});

test('every change is signalled', () => {
  let count = 0;
  model.changed.connect(() => count++);
  model.filter = 'a';
  model.sort = 'size';
  model.select(['a']);
  model.toggle('b');
  model.apply(changes());
  model.disconnect();
  model.reset();
  assert.equal(count, 7);
});
