/**
 * The statuses of a run, and what follows from each.
 */

const STATUSES = ['queued', 'running', 'paused', 'finished', 'stopped', 'failed', 'lost'] as const;

/** A status of a run. */
export type Status = (typeof STATUSES)[number];

/** Returns whether something is a status of a run. */
export function isStatus(json: unknown): json is Status {
  return STATUSES.some(status => status === json);
}

/** Returns whether a process trains the run. */
export function isLive(status: Status): boolean {
  return status === 'running' || status === 'paused';
}

/** Returns whether a run will change by itself: it trains, or is about to. */
export function isPending(status: Status): boolean {
  return status === 'queued' || isLive(status);
}
