/**
 * What the server's stream sends: rows of the list of runs. Nothing of it is trusted before `asRows` has seen it.
 */
import { isStatus, type Status, type Value } from './protocol.js';

/** One run of the list. */
export interface IRunRow {
  key: string;
  ref: string;
  status: Status;
  /** `NaN` or `inf` where the run ended with no finite loss, though it did not fail; else empty. */
  endedWith: string;
  kind: string;
  metric: string;
  best: Value;
  isMaximized: boolean;
  trail: number[];
  epoch: Value;
  epochs: Value;
  createdAt: number;
  durationSeconds: Value;
  sizeBytes: number;
  tags: string[];
  /** Relative to the server's root; empty when it lies outside, or is not known. */
  notebook: string;
  cell: string;
}

/** One message of the stream. */
export interface IRunChanges {
  runs: IRunRow[];
  gone: string[];
  /** Why there are none; empty when all is well. */
  message: string;
}

/** @returns what a message says; null when it is none of ours. */
export function asChanges(found: unknown): IRunChanges | null {
  if (typeof found !== 'object' || found === null) {
    return null;
  }
  const runs: unknown = Reflect.get(found, 'runs');
  const gone: unknown = Reflect.get(found, 'gone');
  return {
    runs: Array.isArray(runs) ? runs.map(asRow).filter(row => row !== null) : [],
    gone: Array.isArray(gone) ? gone.filter(key => typeof key === 'string') : [],
    message: textOf(Reflect.get(found, 'message'))
  };
}

function asRow(found: unknown): IRunRow | null {
  if (typeof found !== 'object' || found === null) {
    return null;
  }
  const at = (name: string): unknown => Reflect.get(found, name);
  const status = at('status');
  const key = textOf(at('key'));
  if (key === '' || !isStatus(status)) {
    return null;
  }
  const [trail, tags] = [at('trail'), at('tags')];
  return {
    key,
    ref: textOf(at('ref')),
    status,
    endedWith: textOf(at('ended_with')),
    kind: textOf(at('kind')),
    metric: textOf(at('metric')),
    best: numberOf(at('best')),
    isMaximized: at('mode') === 'max',
    trail: Array.isArray(trail) ? trail.filter(one => typeof one === 'number') : [],
    epoch: numberOf(at('epoch')),
    epochs: numberOf(at('epochs')),
    createdAt: numberOf(at('created_at')) ?? 0,
    durationSeconds: numberOf(at('duration_s')),
    sizeBytes: numberOf(at('size_bytes')) ?? 0,
    tags: Array.isArray(tags) ? tags.filter(one => typeof one === 'string') : [],
    notebook: textOf(at('notebook')),
    cell: textOf(at('cell'))
  };
}

function textOf(found: unknown): string {
  return typeof found === 'string' ? found.slice(0, 500) : '';
}

function numberOf(found: unknown): Value {
  return typeof found === 'number' && Number.isFinite(found) ? found : null;
}
