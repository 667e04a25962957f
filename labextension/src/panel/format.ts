/**
 * Numbers as people read them: the same as Python's `value_text` and `duration_text`, to the last digit.
 */
import type { Value } from '../protocol/types.js';

/** Whole numbers below are written with all their digits. */
const WHOLE_BELOW = 1e10;

/** `0.09312` as `0.0931`, `12345.6` as `12,346`, `0.00003` as `3.0e-5`. */
export function valueText(value: Value): string {
  if (value === null) {
    return '–';
  }
  const size = Math.abs(value);
  if (value === 0) {
    return '0';
  }
  if (Number.isInteger(value) && size < WHOLE_BELOW) {
    return value.toLocaleString('en-US');
  }
  if (size < 1e-3 || size >= 1e7) {
    return value.toExponential(1).replace('e+', 'e');
  }
  if (size >= 1000) {
    return (Math.sign(value) * Math.round(size)).toLocaleString('en-US');
  }
  const digits = 3 - Math.floor(Math.log10(size)) - (size < 1 ? 1 : 0);
  return value.toFixed(Math.max(0, Math.min(6, digits)));
}

/** `75` as `1:15`, `3700` as `1:01:40`. */
export function durationText(seconds: Value): string {
  if (seconds === null) {
    return '–';
  }
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map(part =>
    String(part).padStart(2, '0')
  );
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${parts.join(':')}` : `${Number(parts[0])}:${parts[1] ?? '00'}`;
}

/** `1536` as `2 KB`, `3400000` as `3.4 MB`. */
export function sizeText(bytes: number): string {
  const units = ['KB', 'MB', 'GB', 'TB'];
  let [size, unit] = [bytes / 1000, 0];
  while (size >= 999.5 && unit < units.length - 1) {
    [size, unit] = [size / 1000, unit + 1];
  }
  return bytes === 0
    ? '–'
    : `${size < 9.95 && unit > 0 ? size.toFixed(1) : Math.ceil(size)} ${units[unit]}`;
}

/** `1,234` of a step; empty for a fraction of one. */
export function stepText(step: number): string {
  return Number.isInteger(step) ? step.toLocaleString('en-US') : '';
}

/** `47.2` as `47 %`. */
export function percentText(percent: number): string {
  return `${Math.round(percent)} %`;
}

/** `1.25` as `1.3 GB`, `12.5` as `13 GB`. */
export function gigabytesText(gigabytes: number): string {
  return `${gigabytes < 9.95 ? gigabytes.toFixed(1) : Math.round(gigabytes)} GB`;
}
