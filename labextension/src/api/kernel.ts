/**
 * The way from a panel to the kernel that trains: a message on its control channel, which is answered while a
 * cell blocks.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { KernelMessage, type Kernel } from '@jupyterlab/services';
import type { Widget } from '@lumino/widgets';

const REQUEST = 'jupyter_train_request';
const PATIENCE_MS = 3_000;

/** What is asked of a kernel. */
export type Request =
  | { verb: 'watch' | 'snapshot' | 'details' | 'bundle'; run: string }
  | { verb: 'curves'; run: string; first: number; last: number }
  | { verb: 'note'; run: string; note: string }
  | { verb: 'command'; run: string; command: string; arguments: Record<string, unknown> };

/** What a document with a kernel looks like, without depending on the notebook package. */
interface IWithKernel {
  context: { sessionContext: { session: { kernel: Kernel.IKernelConnection | null } | null } };
}

/** Finds kernels among the open documents and talks to them. */
export class KernelLink {
  constructor(private readonly _app: JupyterFrontEnd) {}

  /**
   * Asks a kernel something.
   *
   * @returns its reply's content; null when the kernel is none of this application's, or does not answer.
   */
  async ask(kernelId: string, request: Request): Promise<Record<string, unknown> | null> {
    const kernel = this._find(kernelId);
    if (kernel === null || kernel.connectionStatus !== 'connected') {
      return null;
    }
    const message = KernelMessage.createMessage({
      channel: 'control',
      // our own type; services types know the standard ones only
      msgType: REQUEST as 'interrupt_request',
      session: kernel.clientId,
      username: kernel.username,
      content: request as unknown as Record<string, never>
    });
    const future = kernel.sendControlMessage(message as KernelMessage.IControlMessage, true);
    const timer = window.setTimeout(() => future.dispose(), PATIENCE_MS);
    try {
      const reply = await future.done;
      return (reply?.content ?? null) as Record<string, unknown> | null;
    } catch {
      return null; // the kernel went away, or is too busy to answer in time
    } finally {
      window.clearTimeout(timer);
    }
  }

  private _find(kernelId: string): Kernel.IKernelConnection | null {
    for (const widget of this._app.shell.widgets('main')) {
      const kernel = kernelOf(widget);
      if (kernel !== null && kernel.id === kernelId) {
        return kernel;
      }
    }
    return null;
  }
}

function kernelOf(widget: Widget): Kernel.IKernelConnection | null {
  const found = widget as Widget & Partial<IWithKernel>;
  return found.context?.sessionContext?.session?.kernel ?? null;
}
