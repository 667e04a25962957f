/**
 * The runs that this page shows, so that a second panel of a run draws what the first one knows.
 */
import type { ISnapshot } from '../protocol/types.js';

const MOST_RUNS = 64;

/** The newest snapshot of each run on the page. */
export class SharedRuns {
  private readonly _newest = new Map<string, ISnapshot>();
  private readonly _listeners = new Set<(snapshot: ISnapshot) => void>();

  /** @returns the newest snapshot of a run, if a panel has shown one. */
  get(run: string): ISnapshot | undefined {
    return this._newest.get(run);
  }

  /** A panel has drawn this. */
  publish(snapshot: ISnapshot): void {
    this._newest.delete(snapshot.run);
    this._newest.set(snapshot.run, snapshot);
    const oldest = this._newest.keys().next().value;
    if (this._newest.size > MOST_RUNS && oldest !== undefined) {
      this._newest.delete(oldest);
    }
    this._listeners.forEach(listener => listener(snapshot));
  }

  /** Calls `listener` with every snapshot that a panel draws, until the returned function is called. */
  subscribe(listener: (snapshot: ISnapshot) => void): () => void {
    this._listeners.add(listener);
    return () => {
      this._listeners.delete(listener);
    };
  }
}
