/**
 * Requests to the run store: the routes of the server extension, behind the server's login.
 */
import { ServerConnection } from '@jupyterlab/services';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';

import { asRecord } from '../protocol/json.js';
import type { RunCommand } from '../tokens.js';

/** The output of a run: our mime type, HTML and text. */
export type Bundle = IRenderMime.IMimeModel['data'];

/** The outcome of a request that changes something. */
export interface IAnswer {
  isDone: boolean;
  message: string;
}

/** A client of the server extension. */
export class ServerLink {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  /** Returns a run's newest snapshot, not yet checked; null when this server does not know the run. */
  snapshot(run: string): Promise<unknown> {
    return this._read(run, 'snapshot');
  }

  /** Returns a run's mime bundle, not yet checked; null when this server does not know the run. */
  bundle(run: string): Promise<unknown> {
    return this._read(run, 'bundle');
  }

  /** Returns the curves between two steps, not yet checked; null when this server does not know the run. */
  curves(run: string, first: number, last: number): Promise<unknown> {
    return this._read(run, `curves?first=${first}&last=${last}`);
  }

  /** Returns a run's details, not yet checked; null when this server does not know the run. */
  details(run: string): Promise<unknown> {
    return this._read(run, 'details');
  }

  /** Saves a note with a run. */
  saveNote(run: string, note: string): Promise<IAnswer> {
    return this._change(run, 'details', 'PATCH', { note });
  }

  private async _read(run: string, resource: string): Promise<unknown> {
    try {
      const response = await this._request(run, resource);
      return response.ok ? await response.json() : null;
    } catch {
      return null; // the server is gone, or has no server extension
    }
  }

  /** Sends a command to a run, through the store. */
  send(run: string, command: RunCommand, args: Record<string, unknown>): Promise<IAnswer> {
    return this._change(run, 'commands', 'POST', { verb: command, arguments: args });
  }

  private async _change(
    run: string,
    resource: string,
    method: string,
    body: object | null
  ): Promise<IAnswer> {
    try {
      const init: RequestInit = { method };
      if (body !== null) {
        init.body = JSON.stringify(body);
        init.headers = { 'Content-Type': 'application/json' };
      }
      const response = await this._request(run, resource, init);
      const content: unknown = await response.json().catch(() => null);
      return { isDone: response.ok, message: messageOf(content) };
    } catch {
      return { isDone: false, message: 'the Jupyter server does not answer' };
    }
  }

  /** Deletes a run that is over. */
  delete(run: string): Promise<IAnswer> {
    return this._change(run, '', 'DELETE', null);
  }

  private _request(run: string, resource: string, init: RequestInit = {}): Promise<Response> {
    const path = [encodeURIComponent(run), resource].filter(Boolean).join('/');
    const url = `${this._settings.baseUrl}jupyter-train/api/runs/${path}`;
    return ServerConnection.makeRequest(url, init, this._settings);
  }
}

/** Returns the `message` of a reply. */
export function messageOf(content: unknown): string {
  const { message } = asRecord(content);
  return typeof message === 'string' ? message : 'the run does not answer';
}
