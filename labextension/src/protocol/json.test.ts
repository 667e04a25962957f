import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asColumn, asList, asNumber, asRecord, asText, isRecord, MAX_POINTS } from './json.js';

test('a column is read from one text, with nulls where it is empty', () => {
  assert.deepEqual(asColumn('0.5,0.4,,-3e-5'), [0.5, 0.4, null, -3e-5]);
  assert.deepEqual(asColumn(''), []);
});

test('what is no number in a column becomes null', () => {
  assert.deepEqual(asColumn('1,x,NaN,Infinity,2'), [1, null, null, null, 2]);
});

test('anything but a text is an empty column', () => {
  for (const json of [null, undefined, 7, ['1', '2'], {}, true]) {
    assert.deepEqual(asColumn(json), []);
  }
});

test('a long column is cut', () => {
  assert.equal(asColumn('1,'.repeat(3 * MAX_POINTS)).length, MAX_POINTS);
});

test('only objects are records', () => {
  assert.equal(isRecord({}), true);
  for (const json of [null, undefined, [], 'text', 7]) {
    assert.equal(isRecord(json), false);
    assert.deepEqual(asRecord(json), {});
  }
});

test('values of the wrong type become empty', () => {
  assert.deepEqual(asList({ length: 1 }), []);
  assert.deepEqual([asText(7), asText(null), asText(['a'])], ['', '', '']);
  assert.deepEqual(
    [asNumber('7'), asNumber(NaN), asNumber(Infinity), asNumber(null)],
    Array(4).fill(null)
  );
  assert.equal(asNumber(0), 0);
});

test('a text is cut to its greatest length', () => {
  assert.equal(asText('abcdef', 3), 'abc');
});
