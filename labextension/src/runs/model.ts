/**
 * The model of the list of runs: what the stream sent, filtered and sorted, and what is selected.
 */
import { Signal, type ISignal } from '@lumino/signaling';

import { isLive } from '../protocol/status.js';
import type { IRunChanges, IRunRow } from '../protocol/types.js';
import { matchesFilter, sortRows, type Sort } from './rowOrder.js';

/** The rows of all runs, and those to show. */
export class RunsModel {
  private readonly _rows = new Map<string, IRunRow>();
  private readonly _selected = new Set<string>();
  private readonly _changed = new Signal<this, void>(this);
  private _visible: IRunRow[] | null = null;
  private _filter = '';
  private _sort: Sort = 'newest';
  private _message = 'loading …';

  /** Emitted whenever the list may look different. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The rows that pass the filter, in order. */
  get visible(): readonly IRunRow[] {
    this._visible ??= sortRows(
      this.all.filter(row => matchesFilter(row, this._filter)),
      this._sort
    );
    return this._visible;
  }

  /** The rows of all runs. */
  get all(): IRunRow[] {
    return [...this._rows.values()];
  }

  /** How many runs there are. */
  get total(): number {
    return this._rows.size;
  }

  /** How many runs are live. */
  get live(): number {
    let count = 0;
    for (const row of this._rows.values()) {
      count += isLive(row.status) ? 1 : 0;
    }
    return count;
  }

  /** Why the list may be empty or old; else empty. */
  get message(): string {
    return this._message;
  }

  /** The selected runs that are visible, in order. */
  get selected(): IRunRow[] {
    return this.visible.filter(row => this._selected.has(row.key));
  }

  /** Returns whether a run is selected. */
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

  /** Selects or deselects a run. */
  toggle(key: string): void {
    if (!this._selected.delete(key)) {
      this._selected.add(key);
    }
    this._changed.emit();
  }

  /** Shows the runs that match a filter. */
  set filter(text: string) {
    this._filter = text;
    this._refresh();
  }

  /** Orders the list. */
  set sort(sort: Sort) {
    this._sort = sort;
    this._refresh();
  }

  /** Drops all rows: the server will send them again. */
  reset(): void {
    this._rows.clear();
    this._message = '';
    this._refresh();
  }

  /** Keeps the rows, with a message that the server does not answer. */
  disconnect(): void {
    this._message = 'the Jupyter server does not answer; trying again …';
    this._refresh();
  }

  /** Applies the changes that the stream sent. */
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
    this._visible = null;
    this._changed.emit();
  }
}
