/**
 * Readers of untrusted JSON: anything that is not of the expected type becomes empty.
 */

/** A number, or null where there was none (NaN, infinite). */
export type Value = number | null;

/** An object of JSON. */
export type JsonObject = Record<string, unknown>;

/** A longer column is cut. */
export const MAX_POINTS = 2000;

/**
 * Returns the numbers of a column, which is one text, `0.5,0.4,,0.3`: a notebook file gives every item of a list a
 * line of its own. Empty for anything else.
 */
export function asColumn(json: unknown): Value[] {
  const characters = asText(json);
  if (characters === '') {
    return [];
  }
  return characters
    .split(',')
    .slice(0, MAX_POINTS)
    .map(item => (item === '' ? null : asNumber(Number(item))));
}

/** Returns whether something is an object. */
export function isRecord(json: unknown): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** Returns an object; an empty one for anything else. */
export function asRecord(json: unknown): JsonObject {
  return isRecord(json) ? json : {};
}

/** Returns a list; an empty one for anything else. */
export function asList(json: unknown): unknown[] {
  return Array.isArray(json) ? json : [];
}

/** Returns a text of at most so many characters; an empty one for anything else. */
export function asText(json: unknown, maxLength = Infinity): string {
  return typeof json === 'string' ? json.slice(0, maxLength) : '';
}

/** Returns a finite number; null for anything else. */
export function asNumber(json: unknown): Value {
  return typeof json === 'number' && Number.isFinite(json) ? json : null;
}
