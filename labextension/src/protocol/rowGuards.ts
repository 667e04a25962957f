/**
 * Type guards for the server's stream of runs.
 */
import { asList, asNumber, asText, isRecord } from './json.js';
import { isStatus } from './status.js';
import type { IRunChanges, IRunRow } from './types.js';

const MAX_TEXT = 500;

/** Returns the changes in a message of the stream; null when it is not an object. */
export function asChanges(json: unknown): IRunChanges | null {
  if (!isRecord(json)) {
    return null;
  }
  return {
    runs: asList(json.runs)
      .map(asRow)
      .filter(row => row !== null),
    gone: asList(json.gone).filter(key => typeof key === 'string'),
    message: asText(json.message, MAX_TEXT)
  };
}

function asRow(json: unknown): IRunRow | null {
  if (!isRecord(json) || !isStatus(json.status) || asText(json.key) === '') {
    return null;
  }
  const text = (value: unknown): string => asText(value, MAX_TEXT);
  return {
    key: text(json.key),
    ref: text(json.ref),
    status: json.status,
    statusText: text(json.status_text) || json.status,
    endedWith: text(json.ended_with),
    kind: text(json.kind),
    metric: text(json.metric),
    best: asNumber(json.best),
    isMaximized: json.mode === 'max',
    trail: asList(json.trail).filter(value => typeof value === 'number'),
    createdAt: asNumber(json.created_at) ?? 0,
    durationSeconds: asNumber(json.duration_s),
    sizeBytes: asNumber(json.size_bytes) ?? 0,
    tags: asList(json.tags).filter(tag => typeof tag === 'string'),
    notebook: text(json.notebook),
    cell: text(json.cell)
  };
}
