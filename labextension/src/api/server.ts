/**
 * The way from a panel to the run store: the server extension's routes, behind the server's login.
 */
import { ServerConnection } from '@jupyterlab/services';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';

/** The output of a run: our mime type, HTML and text. */
export type Bundle = IRenderMime.IMimeModel['data'];

/** What became of something asked. */
export interface IAnswer {
  isDone: boolean;
  message: string;
}

/** Reads and steers runs through the Jupyter server. */
export class ServerLink {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  /** @returns a run's snapshot as it stands in the store; null when this server knows no such run. */
  snapshot(run: string): Promise<unknown> {
    return this._read(run, 'snapshot');
  }

  /** @returns the whole mime bundle of a run, not yet checked; null when this server knows no such run. */
  bundle(run: string): Promise<unknown> {
    return this._read(run, 'bundle');
  }

  /** @returns the curves between two steps, not yet checked; null when this server knows no such run. */
  curves(run: string, first: number, last: number): Promise<unknown> {
    return this._read(run, `curves?first=${first}&last=${last}`);
  }

  /** @returns what a panel shows when asked for more, not yet checked. */
  details(run: string): Promise<unknown> {
    return this._read(run, 'details');
  }

  /** Keeps a note with a run. */
  note(run: string, note: string): Promise<IAnswer> {
    return this._send(run, 'details', 'PATCH', { note });
  }

  private async _read(run: string, what: string): Promise<unknown> {
    try {
      const response = await this._request(run, what);
      return response.ok ? await response.json() : null;
    } catch {
      return null; // the server is gone, or has no extension of ours
    }
  }

  /** Asks the run's owner for something, through the store. */
  tell(run: string, command: string, given: Record<string, unknown>): Promise<IAnswer> {
    return this._send(run, 'commands', 'POST', { verb: command, arguments: given });
  }

  private async _send(
    run: string,
    what: string,
    method: string,
    body: object | null
  ): Promise<IAnswer> {
    try {
      const init: RequestInit = { method };
      if (body !== null) {
        init.body = JSON.stringify(body);
        init.headers = { 'Content-Type': 'application/json' };
      }
      const response = await this._request(run, what, init);
      const content: unknown = await response.json().catch(() => null);
      return { isDone: response.ok, message: messageIn(content) };
    } catch {
      return { isDone: false, message: 'the Jupyter server does not answer' };
    }
  }

  /** Removes a run that is over. */
  remove(run: string): Promise<IAnswer> {
    return this._send(run, '', 'DELETE', null);
  }

  private _request(run: string, what: string, init: RequestInit = {}): Promise<Response> {
    const path = [encodeURIComponent(run), what].filter(Boolean).join('/');
    const url = `${this._settings.baseUrl}jupyter-train/api/runs/${path}`;
    return ServerConnection.makeRequest(url, init, this._settings);
  }
}

/** The `message` of a reply, whatever it is. */
export function messageIn(content: unknown): string {
  const message =
    typeof content === 'object' && content !== null ? Reflect.get(content, 'message') : null;
  return typeof message === 'string' ? message : 'the run does not answer';
}
