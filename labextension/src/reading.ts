/**
 * Reads JSON that comes from anywhere: whatever is not what it should be becomes something empty.
 */

/** A number, or null where there was none (NaN, infinite). */
export type Value = number | null;

/** An object of JSON. */
export type Unknown = Record<string, unknown>;

/** A longer column is cut. */
export const MOST_POINTS = 2000;

/** A column is one text, `0.5,0.4,,0.3`: a notebook file gives every item of a list a line of its own. */
export function column(found: unknown): Value[] {
  const letters = text(found);
  if (letters === '') {
    return [];
  }
  return letters
    .split(',')
    .slice(0, MOST_POINTS)
    .map(item => (item === '' ? null : number(Number(item))));
}

/** True for an object. */
export function isRecord(found: unknown): found is Unknown {
  return typeof found === 'object' && found !== null && !Array.isArray(found);
}

/** A list; an empty one for anything else. */
export function list(found: unknown): unknown[] {
  return Array.isArray(found) ? found : [];
}

/** A text; an empty one for anything else. */
export function text(found: unknown): string {
  return typeof found === 'string' ? found : '';
}

/** A finite number; null for anything else. */
export function number(found: unknown): Value {
  return typeof found === 'number' && Number.isFinite(found) ? found : null;
}
