/**
 * Where a run's newest state can be had when no update arrives by itself: the kernel that trains it first, which
 * is right for remote kernels too, then the server's store.
 */
import { asCurves, asDetails } from '../protocol/guards.js';
import type { IDetails, IMetricGroup } from '../protocol/types.js';
import type { KernelLink, Request } from './kernel.js';
import { messageIn, type Bundle, type IAnswer, type ServerLink } from './server.js';

export type { IDetails };

/** Asks those who may know a run, in order. */
export class RunSources {
  constructor(
    private readonly _kernels: KernelLink,
    private readonly _server: ServerLink
  ) {}

  /** Tells the kernel that somebody looks at a run. */
  async watch(run: string, kernel: string): Promise<void> {
    if (kernel !== '') {
      await this._kernels.ask(kernel, { verb: 'watch', run });
    }
  }

  /** @returns a packed snapshot, not yet checked; null when nobody knows the run. */
  async newest(run: string, kernel: string): Promise<unknown> {
    const reply = kernel === '' ? null : await this._kernels.ask(kernel, { verb: 'snapshot', run });
    return reply?.snapshot ?? this._server.snapshot(run);
  }

  /** @returns what a document keeps of a run that has ended; null when nobody knows it. */
  async final(run: string, kernel: string): Promise<Bundle | null> {
    const found =
      (await this._server.bundle(run)) ?? (await this._look(kernel, { verb: 'bundle', run }));
    return typeof found === 'object' && found !== null ? (found as Bundle) : null;
  }

  /** @returns the curves between two steps; null when nobody knows them. */
  async curves(
    run: string,
    kernel: string,
    first: number,
    last: number
  ): Promise<IMetricGroup[] | null> {
    const found =
      (await this._server.curves(run, first, last)) ??
      (await this._look(kernel, { verb: 'curves', run, first, last }));
    return asCurves(found);
  }

  /** @returns what a panel shows when asked for more; null when nobody knows the run. */
  async details(run: string, kernel: string): Promise<IDetails | null> {
    const found = await this._server.details(run);
    return asDetails(found ?? (await this._look(kernel, { verb: 'details', run })));
  }

  /** Keeps a note with a run. */
  async note(run: string, kernel: string, text: string): Promise<IAnswer> {
    const answer = await this._server.note(run, text);
    const isKept =
      !answer.isDone && (await this._look(kernel, { verb: 'note', run, note: text })) !== null;
    return isKept ? { isDone: true, message: '' } : answer;
  }

  /** What the kernel that trains a run reads for us where the server cannot see its disk. */
  private async _look(kernel: string, request: Request): Promise<unknown> {
    const reply = kernel === '' ? null : await this._kernels.ask(kernel, request);
    return reply?.found ?? null;
  }

  /** Asks a running fit for something: over the kernel's control channel if it trains there, else through the store. */
  async tell(
    run: string,
    kernel: string,
    command: string,
    given: Record<string, unknown>
  ): Promise<IAnswer> {
    const reply =
      kernel === ''
        ? null
        : await this._kernels.ask(kernel, { verb: 'command', run, command, arguments: given });
    if (reply === null || reply.status === 'elsewhere') {
      return this._server.tell(run, command, given);
    }
    return { isDone: reply.status === 'ok', message: messageIn(reply) };
  }
}
