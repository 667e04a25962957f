/**
 * The server's stream of runs: every run once, then the changes.
 */
import { ServerConnection } from '@jupyterlab/services';

import { asChanges } from '../protocol/rowGuards.js';
import type { IRunChanges } from '../protocol/types.js';

const MIN_RETRY_DELAY_MS = 1_000;
const MAX_RETRY_DELAY_MS = 30_000;

/** A websocket that reconnects by itself. */
export class RunStream {
  private _socket: WebSocket | null = null;
  private _timer = 0;
  private _retryDelay = MIN_RETRY_DELAY_MS;
  private _isDisposed = false;

  /**
   * @param settings - The address of the server.
   * @param onOpen - The server will send every run again.
   * @param onChanges - Some runs are new, changed or deleted.
   * @param onClosed - The server does not answer; the stream reconnects.
   */
  constructor(
    private readonly _settings: ServerConnection.ISettings,
    private readonly _onOpen: () => void,
    private readonly _onChanges: (changes: IRunChanges) => void,
    private readonly _onClosed: () => void
  ) {
    this._connect();
  }

  /** Closes the stream. */
  dispose(): void {
    this._isDisposed = true;
    window.clearTimeout(this._timer);
    this._socket?.close();
  }

  private _connect(): void {
    const { wsUrl, token, appendToken, WebSocket: Socket } = this._settings;
    const query = appendToken && token !== '' ? `?token=${encodeURIComponent(token)}` : '';
    const socket = new Socket(`${wsUrl}jupyter-train/api/stream${query}`);
    socket.onopen = () => {
      this._retryDelay = MIN_RETRY_DELAY_MS;
      this._onOpen();
    };
    socket.onmessage = event => this._onMessage(event.data);
    socket.onclose = () => {
      if (!this._isDisposed) {
        this._onClosed();
        this._timer = window.setTimeout(() => this._connect(), this._retryDelay);
        this._retryDelay = Math.min(2 * this._retryDelay, MAX_RETRY_DELAY_MS);
      }
    };
    this._socket = socket;
  }

  private _onMessage(text: unknown): void {
    if (typeof text !== 'string') {
      return;
    }
    try {
      const changes = asChanges(JSON.parse(text));
      if (changes !== null) {
        this._onChanges(changes);
      }
    } catch {
      // not JSON
    }
  }
}
