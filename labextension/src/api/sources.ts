/**
 * Where a run's newest state can be had when no update arrives by itself: the kernel that trains it first, which
 * is right for remote kernels too, then the server's store.
 */
import type { KernelLink } from './kernel';
import type { ServerLink } from './server';

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
}
