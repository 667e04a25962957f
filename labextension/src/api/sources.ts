/**
 * The sources of a run's state when no update arrives by itself: the kernel that trains it first, which is right for
 * remote kernels too, then the server's store.
 */
import { asCurves, asDetails } from '../protocol/guards.js';
import { isRecord } from '../protocol/json.js';
import type { IDetails, IMetricGroup } from '../protocol/types.js';
import type { RunCommand } from '../tokens.js';
import type { KernelLink, KernelRequest } from './kernel.js';
import { messageOf, type Bundle, type IAnswer, type ServerLink } from './server.js';

/** Queries kernel and server about runs. */
export class RunSources {
  constructor(
    private readonly _kernels: KernelLink,
    private readonly _server: ServerLink
  ) {}

  /** Tells the kernel that a visible panel shows a run. */
  async watch(run: string, kernel: string): Promise<void> {
    if (kernel !== '') {
      await this._kernels.ask(kernel, { verb: 'watch', run });
    }
  }

  /** Returns the newest snapshot, not yet checked; null when neither kernel nor server knows the run. */
  async snapshot(run: string, kernel: string): Promise<unknown> {
    const reply = kernel === '' ? null : await this._kernels.ask(kernel, { verb: 'snapshot', run });
    return reply?.snapshot ?? this._server.snapshot(run);
  }

  /** Returns the mime bundle that a document keeps of a run; null when neither server nor kernel knows the run. */
  async bundle(run: string, kernel: string): Promise<Bundle | null> {
    const bundle =
      (await this._server.bundle(run)) ?? (await this._read(kernel, { verb: 'bundle', run }));
    return isRecord(bundle) ? (bundle as Bundle) : null;
  }

  /** Returns the curves between two steps; null when neither server nor kernel knows the run. */
  async curves(
    run: string,
    kernel: string,
    first: number,
    last: number
  ): Promise<IMetricGroup[] | null> {
    const curves =
      (await this._server.curves(run, first, last)) ??
      (await this._read(kernel, { verb: 'curves', run, first, last }));
    return asCurves(curves);
  }

  /** Returns the details of a run; null when neither server nor kernel knows it. */
  async details(run: string, kernel: string): Promise<IDetails | null> {
    const details = await this._server.details(run);
    return asDetails(details ?? (await this._read(kernel, { verb: 'details', run })));
  }

  /** Saves a note with a run. */
  async saveNote(run: string, kernel: string, note: string): Promise<IAnswer> {
    const answer = await this._server.saveNote(run, note);
    const isSaved =
      !answer.isDone && (await this._read(kernel, { verb: 'note', run, note })) !== null;
    return isSaved ? { isDone: true, message: '' } : answer;
  }

  /** Returns what the kernel that trains a run reads where the server cannot see its disk. */
  private async _read(kernel: string, request: KernelRequest): Promise<unknown> {
    const reply = kernel === '' ? null : await this._kernels.ask(kernel, request);
    return reply?.found ?? null;
  }

  /** Sends a command to a live run: over its kernel's control channel if it trains there, else through the store. */
  async send(
    run: string,
    kernel: string,
    command: RunCommand,
    args: Record<string, unknown>
  ): Promise<IAnswer> {
    const reply =
      kernel === ''
        ? null
        : await this._kernels.ask(kernel, { verb: 'command', run, command, arguments: args });
    if (reply === null || reply.status === 'elsewhere') {
      return this._server.send(run, command, args);
    }
    return { isDone: reply.status === 'ok', message: messageOf(reply) };
  }
}
