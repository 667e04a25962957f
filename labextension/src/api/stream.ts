/**
 * The server's stream of runs: every run once, then what changes. Opened while somebody listens.
 */
import { ServerConnection } from '@jupyterlab/services';

import { asChanges } from '../protocol/rowGuards.js';
import type { IRunChanges } from '../protocol/types.js';

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

/** A websocket that comes back by itself. */
export class RunStream {
  private _socket: WebSocket | null = null;
  private _timer = 0;
  private _wait = FIRST_WAIT_MS;
  private _isEnded = false;

  /**
   * @param settings - Where the server is.
   * @param onOpen - The server begins anew: what is known so far may be gone.
   * @param onChanges - Some runs are new or another.
   * @param onClosed - The server does not answer; it is asked again by itself.
   */
  constructor(
    private readonly _settings: ServerConnection.ISettings,
    private readonly _onOpen: () => void,
    private readonly _onChanges: (changes: IRunChanges) => void,
    private readonly _onClosed: () => void
  ) {
    this._connect();
  }

  /** Ends the stream. */
  dispose(): void {
    this._isEnded = true;
    window.clearTimeout(this._timer);
    this._socket?.close();
  }

  private _connect(): void {
    const { wsUrl, token, appendToken, WebSocket: Socket } = this._settings;
    const given = appendToken && token !== '' ? `?token=${encodeURIComponent(token)}` : '';
    const socket = new Socket(`${wsUrl}jupyter-train/api/stream${given}`);
    socket.onopen = () => {
      this._wait = FIRST_WAIT_MS;
      this._onOpen();
    };
    socket.onmessage = event => this._take(event.data);
    socket.onclose = () => {
      if (!this._isEnded) {
        this._onClosed();
        this._timer = window.setTimeout(() => this._connect(), this._wait);
        this._wait = Math.min(2 * this._wait, LONGEST_WAIT_MS);
      }
    };
    this._socket = socket;
  }

  private _take(text: unknown): void {
    if (typeof text !== 'string') {
      return;
    }
    try {
      const changes = asChanges(JSON.parse(text));
      if (changes !== null) {
        this._onChanges(changes);
      }
    } catch {
      // not JSON: none of ours
    }
  }
}
