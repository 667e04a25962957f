/**
 * The list of runs as it is shown: what the stream sent, filtered, sorted, with what is selected.
 */
import { Signal, type ISignal } from '@lumino/signaling';

import { isLive } from '../protocol/status.js';
import type { Value, IRunChanges, IRunRow } from '../protocol/types.js';

/** What a list can be sorted by. */
export const SORTS = {
  newest: 'newest first',
  name: 'name',
  best: 'best value',
  duration: 'duration',
  size: 'size'
} as const;

/** One of `SORTS`. */
export type Sort = keyof typeof SORTS;

/** Runs by key, and the ones to show. */
export class RunsModel {
  private readonly _rows = new Map<string, IRunRow>();
  private readonly _selected = new Set<string>();
  private readonly _changed = new Signal<this, void>(this);
  private _shown: IRunRow[] | null = null;
  private _filter = '';
  private _sort: Sort = 'newest';
  private _message = 'loading …';

  /** Emitted whenever anything to show is another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Runs that pass the filter, in order. */
  get shown(): readonly IRunRow[] {
    this._shown ??= this._sorted([...this._rows.values()].filter(row => this._passes(row)));
    return this._shown;
  }

  /** Every run, whatever the filter. */
  get all(): IRunRow[] {
    return [...this._rows.values()];
  }

  /** How many runs there are in all. */
  get total(): number {
    return this._rows.size;
  }

  /** How many of them are alive. */
  get live(): number {
    let count = 0;
    for (const row of this._rows.values()) {
      count += isLive(row.status) ? 1 : 0;
    }
    return count;
  }

  /** Why there may be nothing to see; empty when all is well. */
  get message(): string {
    return this._message;
  }

  /** Selected runs that still exist, in the order of the list. */
  get selected(): IRunRow[] {
    return this.shown.filter(row => this._selected.has(row.key));
  }

  /** True for a selected run. */
  isSelected(key: string): boolean {
    return this._selected.has(key);
  }

  /** Selects exactly these runs. */
  select(keys: Iterable<string>): void {
    this._selected.clear();
    for (const key of keys) {
      this._selected.add(key);
    }
    this._changed.emit();
  }

  /** Selects a run as well, or no longer. */
  toggle(key: string): void {
    if (!this._selected.delete(key)) {
      this._selected.add(key);
    }
    this._changed.emit();
  }

  /** Shows runs whose name, status, metric, notebook or tags hold all words of a text. */
  set filter(text: string) {
    this._filter = text;
    this._refresh();
  }

  /** Orders the list. */
  set sort(sort: Sort) {
    this._sort = sort;
    this._refresh();
  }

  /** Begins anew: the server will send everything again. */
  begin(): void {
    this._rows.clear();
    this._message = '';
    this._refresh();
  }

  /** Keeps what is shown, but says that the server is away. */
  pause(): void {
    this._message = 'the Jupyter server does not answer; trying again …';
    this._refresh();
  }

  /** Takes in what the stream sent. */
  apply(changes: IRunChanges): void {
    for (const row of changes.runs) {
      this._rows.set(row.key, row);
    }
    for (const key of changes.gone) {
      this._rows.delete(key);
      this._selected.delete(key);
    }
    this._message = changes.message;
    this._refresh();
  }

  private _refresh(): void {
    this._shown = null;
    this._changed.emit();
  }

  private _passes(row: IRunRow): boolean {
    if (this._filter === '') {
      return true;
    }
    const text = [row.ref, row.status, row.metric, row.notebook, ...row.tags]
      .join(' ')
      .toLowerCase();
    return this._filter
      .toLowerCase()
      .split(/\s+/)
      .every(word => text.includes(word));
  }

  private _sorted(rows: IRunRow[]): IRunRow[] {
    const newest = (one: IRunRow, other: IRunRow): number => other.createdAt - one.createdAt;
    const orders: Record<Sort, (one: IRunRow, other: IRunRow) => number> = {
      newest,
      name: (one, other) => (one.ref < other.ref ? -1 : one.ref > other.ref ? 1 : 0),
      best: (one, other) => byBest(one, other) || newest(one, other),
      duration: (one, other) => (other.durationSeconds ?? -1) - (one.durationSeconds ?? -1),
      size: (one, other) => other.sizeBytes - one.sizeBytes
    };
    return rows.sort(orders[this._sort]);
  }
}

/** Runs of a metric together, the better first; those without one last. */
function byBest(one: IRunRow, other: IRunRow): number {
  if (one.metric !== other.metric) {
    return one.metric === '' ? 1 : other.metric === '' ? -1 : one.metric < other.metric ? -1 : 1;
  }
  const [a, b]: [Value, Value] = [one.best, other.best];
  if (a === null || b === null) {
    return a === b ? 0 : a === null ? 1 : -1;
  }
  return one.isMaximized ? b - a : a - b;
}
