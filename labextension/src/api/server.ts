/**
 * The way from a panel to the run store: the server extension's routes, behind the server's login.
 */
import { ServerConnection } from '@jupyterlab/services';

/** Reads runs through the Jupyter server. */
export class ServerLink {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  /** @returns a run's snapshot as it stands in the store; null when this server knows no such run. */
  async snapshot(run: string): Promise<unknown> {
    const url = `${this._settings.baseUrl}jupyter-train/api/runs/${encodeURIComponent(run)}/snapshot`;
    try {
      const response = await ServerConnection.makeRequest(url, {}, this._settings);
      return response.ok ? await response.json() : null;
    } catch {
      return null; // the server is gone, or has no extension of ours
    }
  }
}
