/**
 * Where a run's newest state can be had when no update arrives by itself: the kernel that trains it first, which
 * is right for remote kernels too, then the server's store.
 */
import { asDetails, type IDetails } from '../protocol';
import type { KernelLink } from './kernel';
import { messageIn, type Bundle, type IAnswer, type ServerLink } from './server';

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

  /** @returns what a document keeps of a run that has ended; null when the server does not know it. */
  final(run: string): Promise<Bundle | null> {
    return this._server.bundle(run);
  }

  /** @returns what a panel shows when asked for more; null when the server does not know the run. */
  async details(run: string): Promise<IDetails | null> {
    return asDetails(await this._server.details(run));
  }

  /** Keeps a note with a run. */
  note(run: string, text: string): Promise<IAnswer> {
    return this._server.note(run, text);
  }

  /** Asks a running fit for something: over the kernel's control channel if it trains there, else through the store. */
  async tell(
    run: string,
    kernel: string,
    command: string,
    given: Record<string, number>
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
