/**
 * The plugin of the panel's renderer. An ordinary plugin rather than a mime extension, so that it can reach the
 * application's kernels.
 */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IThemeManager } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';

import { KernelLink } from '../api/kernel.js';
import { ServerLink } from '../api/server.js';
import { RunSources } from '../api/sources.js';
import { RunPanel } from '../panel/runPanel.js';
import { SnapshotCache } from '../panel/snapshotCache.js';
import { MIME_TYPE } from '../protocol/guards.js';

/** Before HTML, and before a widget view in the same bundle. */
const RANK = -100;

/** Renders `application/vnd.jupyter-train.run+json`, in trusted and untrusted notebooks alike. */
export const rendererPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-train:renderer',
  description: 'Draws the panel of a run.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [IThemeManager],
  activate: (app: JupyterFrontEnd, registry: IRenderMimeRegistry, themes: IThemeManager | null) => {
    const server = new ServerLink(app.serviceManager.serverSettings);
    const sources = new RunSources(new KernelLink(app), server);
    const cache = new SnapshotCache();
    registry.addFactory(
      {
        safe: true,
        mimeTypes: [MIME_TYPE],
        createRenderer: () => new RunPanel(sources, cache, themes)
      },
      RANK
    );
  }
};
