import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  durationText,
  gigabytesText,
  percentText,
  sizeText,
  stepText,
  valueText
} from './format.js';

function check<T>(format: (value: T) => string, cases: [T, string][]): void {
  for (const [value, text] of cases) {
    assert.equal(format(value), text, `of ${String(value)}`);
  }
}

test('a value has four significant digits', () => {
  check(valueText, [
    [0.09312, '0.0931'],
    [0.5, '0.500'],
    [1.23456, '1.235'],
    [99.999, '100.00'],
    [12345.6, '12,346'],
    [-12345.6, '-12,346'],
    [3e-5, '3.0e-5'],
    [2e7 + 0.5, '2.0e7']
  ]);
});

test('whole numbers have no point, zero no sign, and what is missing is a dash', () => {
  check(valueText, [
    [3, '3'],
    [1234567, '1,234,567'],
    [-0, '0'],
    [1e10, '1.0e10'],
    [null, '–']
  ]);
});

test('a duration has hours only where there are some', () => {
  check(durationText, [
    [0, '0:00'],
    [9.4, '0:09'],
    [59.6, '1:00'],
    [75, '1:15'],
    [3599.5, '1:00:00'],
    [3700, '1:01:40'],
    [360_000, '100:00:00'],
    [null, '–']
  ]);
});

test('a size has a unit in which it is short', () => {
  check(sizeText, [
    [0, '–'],
    [1, '1 KB'],
    [1536, '2 KB'],
    [999_499, '1000 KB'],
    [999_600, '1.0 MB'],
    [3_400_000, '3.4 MB'],
    [34_000_000, '34 MB'],
    [5e15, '5000 TB']
  ]);
});

test('percentages and gigabytes are short', () => {
  check(percentText, [
    [0, '0 %'],
    [47.5, '48 %'],
    [100, '100 %']
  ]);
  check(gigabytesText, [
    [1.25, '1.3 GB'],
    [9.94, '9.9 GB'],
    [9.96, '10 GB'],
    [79.6, '80 GB']
  ]);
});

test('a step is a whole number', () => {
  check(stepText, [
    [12345, '12,345'],
    [1.5, '']
  ]);
});
