/**
 * Polling of a run by its panel: renews the lease of a visible panel, and fetches when no update arrives by itself.
 */
import type { RunSources } from '../api/sources.js';

const TICK_MS = 1_000;
const LEASE_TICKS = 5;
/** After this long without an update, as after a reload of the page, the panel fetches one. */
const UPDATE_TIMEOUT_MS = 4_000;

/** The panel of a poller. */
export interface IPollerClient {
  /** Returns whether the panel is visible and may talk to kernel and server. */
  canPoll(): boolean;
  /** Takes a fetched snapshot, not yet checked. */
  onSnapshot(data: unknown): void;
  /** Neither kernel nor server knows the run. */
  onRunNotFound(): void;
  /** Called every few seconds. */
  onTick(): void;
}

/** A timer while a run is followed. */
export class Poller {
  private _timer: number | null = null;
  private _run = '';
  private _kernel = '';
  private _ticks = 0;
  private _updatedAt = 0;
  private _isFetching = false;

  constructor(
    private readonly _sources: RunSources,
    private readonly _panel: IPollerClient
  ) {}

  /** Follows a run; does nothing when it is followed already. */
  follow(run: string, kernel: string): void {
    this._kernel = kernel;
    if (this._timer !== null && this._run === run) {
      return;
    }
    this.stop();
    this._run = run;
    this._ticks = 0;
    this._timer = window.setInterval(this._tick, TICK_MS);
    this._tick();
  }

  /** Records that an update has arrived by itself. */
  onUpdate(): void {
    this._updatedAt = performance.now();
  }

  /** Fetches at the next tick. */
  fetchSoon(): void {
    this._updatedAt = -UPDATE_TIMEOUT_MS;
  }

  /** Stops following. */
  stop(): void {
    if (this._timer !== null) {
      window.clearInterval(this._timer);
      this._timer = null;
    }
  }

  private readonly _tick = (): void => {
    const isLease = this._ticks++ % LEASE_TICKS === 0;
    if (isLease) {
      this._panel.onTick();
    }
    if (!this._panel.canPoll()) {
      return;
    }
    if (performance.now() - this._updatedAt >= UPDATE_TIMEOUT_MS) {
      void this._fetch();
    } else if (isLease) {
      void this._sources.watch(this._run, this._kernel);
    }
  };

  private async _fetch(): Promise<void> {
    if (this._isFetching) {
      return;
    }
    this._isFetching = true;
    const run = this._run;
    const snapshot = await this._sources.snapshot(run, this._kernel);
    this._isFetching = false;
    if (this._timer === null || this._run !== run) {
      return; // the poller was stopped, or follows another run
    }
    if (snapshot === null) {
      this._panel.onRunNotFound();
    } else {
      this._panel.onSnapshot(snapshot);
    }
  }
}
