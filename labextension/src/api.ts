/**
 * The way from a panel to the kernel that trains: a message on its control channel, which is answered while a
 * cell blocks.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { KernelMessage, type Kernel } from '@jupyterlab/services';
import type { Widget } from '@lumino/widgets';

const REQUEST = 'jupyter_train_request';

/** What a document with a kernel looks like, without depending on the notebook package. */
interface IWithKernel {
  context: { sessionContext: { session: { kernel: Kernel.IKernelConnection | null } | null } };
}

/** Finds kernels among the open documents and talks to them. */
export class KernelLink {
  constructor(private readonly _app: JupyterFrontEnd) {}

  /**
   * Says that somebody is looking at a run.
   *
   * @returns true when the kernel is one of this application's; false when there is nobody to tell.
   */
  watch(kernelId: string, run: string): boolean {
    const kernel = this._find(kernelId);
    if (kernel === null || kernel.connectionStatus !== 'connected') {
      return false;
    }
    const message = KernelMessage.createMessage({
      channel: 'control',
      // our own type; services types know the standard ones only
      msgType: REQUEST as 'interrupt_request',
      session: kernel.clientId,
      username: kernel.username,
      content: { verb: 'watch', run } as unknown as Record<string, never>
    });
    const future = kernel.sendControlMessage(message as KernelMessage.IControlMessage, true);
    future.done.catch(() => undefined);
    return true;
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
