/**
 * Filtering and sorting of the rows of the list.
 */
import type { IRunRow } from '../protocol/types.js';

/** The orders of a list, with their labels. */
export const SORTS = {
  newest: 'newest first',
  name: 'name',
  best: 'best value',
  duration: 'duration',
  size: 'size'
} as const;

/** An order of a list. */
export type Sort = keyof typeof SORTS;

type Comparison = (a: IRunRow, b: IRunRow) => number;

const COMPARISONS: Record<Sort, Comparison> = {
  newest: byNewest,
  name: (a, b) => compareText(a.ref, b.ref),
  best: (a, b) => byBest(a, b) || byNewest(a, b),
  duration: (a, b) => (b.durationSeconds ?? -1) - (a.durationSeconds ?? -1),
  size: (a, b) => b.sizeBytes - a.sizeBytes
};

/** Returns the rows in an order. */
export function sortRows(rows: readonly IRunRow[], sort: Sort): IRunRow[] {
  return [...rows].sort(COMPARISONS[sort]);
}

/** Returns whether the name, status, metric, notebook or tags of a row contain every word of a filter. */
export function matchesFilter(row: IRunRow, filter: string): boolean {
  if (filter === '') {
    return true;
  }
  const text = [row.ref, row.status, row.metric, row.notebook, ...row.tags].join(' ').toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every(word => text.includes(word));
}

function byNewest(a: IRunRow, b: IRunRow): number {
  return b.createdAt - a.createdAt;
}

/** Orders the runs of a metric together, the better first; those without a metric last. */
function byBest(a: IRunRow, b: IRunRow): number {
  if (a.metric !== b.metric) {
    return a.metric === '' ? 1 : b.metric === '' ? -1 : compareText(a.metric, b.metric);
  }
  if (a.best === null || b.best === null) {
    return a.best === b.best ? 0 : a.best === null ? 1 : -1;
  }
  return a.isMaximized ? b.best - a.best : a.best - b.best;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
