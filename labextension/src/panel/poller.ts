/**
 * Keeps a panel in touch with its run: says that somebody looks, and asks when no update arrives by itself.
 */
import type { RunSources } from '../api/sources.js';

const TICK_MS = 1_000;
const LEASE_TICKS = 5;
/** After this long without an update, as after a reload of the page, the panel asks. */
const SILENCE_MS = 4_000;

/** What a watch needs of its panel. */
export interface IWatched {
  /** True while somebody can see the panel and it may talk to kernel and server. */
  isLooking(): boolean;
  /** A packed snapshot has been had by asking. */
  onAnswer(data: unknown): void;
  /** Nobody knows the run. */
  onNobody(): void;
  /** Some seconds have passed. */
  onTime(): void;
}

/** One timer while a run is followed; none otherwise. */
export class Watch {
  private _timer: number | null = null;
  private _run = '';
  private _kernel = '';
  private _ticks = 0;
  private _heardAt = 0;
  private _isAsking = false;

  constructor(
    private readonly _sources: RunSources,
    private readonly _panel: IWatched
  ) {}

  /** Follows a run from now on; harmless when it is followed already. */
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

  /** An update has come by itself. */
  heard(): void {
    this._heardAt = performance.now();
  }

  /** Asks at the next tick, however short the silence. */
  askSoon(): void {
    this._heardAt = -SILENCE_MS;
  }

  /** Follows nothing any more. */
  stop(): void {
    if (this._timer !== null) {
      window.clearInterval(this._timer);
      this._timer = null;
    }
  }

  private readonly _tick = (): void => {
    const isLease = this._ticks++ % LEASE_TICKS === 0;
    if (isLease) {
      this._panel.onTime();
    }
    if (!this._panel.isLooking()) {
      return;
    }
    if (performance.now() - this._heardAt >= SILENCE_MS) {
      void this._ask();
    } else if (isLease) {
      void this._sources.watch(this._run, this._kernel);
    }
  };

  private async _ask(): Promise<void> {
    if (this._isAsking) {
      return;
    }
    this._isAsking = true;
    const run = this._run;
    const found = await this._sources.newest(run, this._kernel);
    this._isAsking = false;
    if (this._timer === null || this._run !== run) {
      return; // nobody waits for it any more
    }
    if (found === null) {
      this._panel.onNobody();
    } else {
      this._panel.onAnswer(found);
    }
  }
}
