/**
 * Requests to the kernel that trains: messages on its control channel, which it answers while a cell blocks.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { KernelMessage, type Kernel } from '@jupyterlab/services';
import type { Widget } from '@lumino/widgets';

import type { RunCommand } from '../tokens.js';

const REQUEST_TYPE = 'jupyter_train_request';
const REPLY_TIMEOUT_MS = 3_000;

/** A request to a kernel. */
export type KernelRequest =
  | { verb: 'watch' | 'snapshot' | 'details' | 'bundle'; run: string }
  | { verb: 'curves'; run: string; first: number; last: number }
  | { verb: 'note'; run: string; note: string }
  | { verb: 'command'; run: string; command: RunCommand; arguments: Record<string, unknown> };

/** A document with a kernel; this extension does not depend on the notebook package. */
interface IKernelDocument {
  context: { sessionContext: { session: { kernel: Kernel.IKernelConnection | null } | null } };
}

/** A client of the kernels of the open documents. */
export class KernelLink {
  constructor(private readonly _app: JupyterFrontEnd) {}

  /**
   * Sends a request to a kernel.
   *
   * @returns the content of its reply; null when this application does not know the kernel, or it does not answer.
   */
  async ask(kernelId: string, request: KernelRequest): Promise<Record<string, unknown> | null> {
    const kernel = this._find(kernelId);
    if (kernel === null || kernel.connectionStatus !== 'connected') {
      return null;
    }
    const message = KernelMessage.createMessage({
      channel: 'control',
      // our own type; services types know the standard ones only
      msgType: REQUEST_TYPE as 'interrupt_request',
      session: kernel.clientId,
      username: kernel.username,
      content: request as unknown as Record<string, never>
    });
    const future = kernel.sendControlMessage(message as KernelMessage.IControlMessage, true);
    const timer = window.setTimeout(() => future.dispose(), REPLY_TIMEOUT_MS);
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
  const document = widget as Widget & Partial<IKernelDocument>;
  return document.context?.sessionContext?.session?.kernel ?? null;
}
