/**
 * The newest snapshots on this page, so that a second panel of a run draws what the first one has.
 */
import type { ISnapshot } from '../protocol/types.js';

const MAX_RUNS = 64;

/** A bounded cache of snapshots by run. */
export class SnapshotCache {
  private readonly _newest = new Map<string, ISnapshot>();
  private readonly _listeners = new Set<(snapshot: ISnapshot) => void>();

  /** Returns the newest snapshot of a run; undefined where no panel has shown one. */
  get(run: string): ISnapshot | undefined {
    return this._newest.get(run);
  }

  /** Keeps a snapshot that a panel has drawn, and passes it to all listeners. */
  publish(snapshot: ISnapshot): void {
    this._newest.delete(snapshot.run);
    this._newest.set(snapshot.run, snapshot);
    const oldest = this._newest.keys().next().value;
    if (this._newest.size > MAX_RUNS && oldest !== undefined) {
      this._newest.delete(oldest);
    }
    this._listeners.forEach(listener => listener(snapshot));
  }

  /** Calls `listener` with every published snapshot; returns the function that ends this. */
  subscribe(listener: (snapshot: ISnapshot) => void): () => void {
    this._listeners.add(listener);
    return () => {
      this._listeners.delete(listener);
    };
  }
}
