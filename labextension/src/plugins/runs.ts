/**
 * The plugin of the sidebar of runs: its command, the status bar's count of live runs, and restored panels.
 */
import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, IThemeManager, MainAreaWidget } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { IStatusBar } from '@jupyterlab/statusbar';
import { LabIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import { asNotebook } from '../api/notebooks.js';
import { ServerLink } from '../api/server.js';
import { RunStream } from '../api/stream.js';
import { setText } from '../panel/dom.js';
import { CommandIds } from '../tokens.js';
import { CompareTab } from '../runs/compare.js';
import { PanelRestorer } from '../runs/panelRestorer.js';
import { RunsModel } from '../runs/model.js';
import { RunsSidebar } from '../runs/sidebar.js';
import type { IRunRow } from '../protocol/types.js';

const CATEGORY = 'Training';

const icon = new LabIcon({
  name: 'jupyter-train:runs',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3" style="fill: none" ' +
    'stroke="#616161" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" ' +
    'd="M4 3v17h17M7 8c3 8 6 8 13 9"/></svg>'
});

/** Adds the sidebar. */
export const runsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-train:runs',
  description: 'Lists every run of the store.',
  autoStart: true,
  optional: [ICommandPalette, IStatusBar, IThemeManager, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    statusBar: IStatusBar | null,
    themes: IThemeManager | null,
    restorer: ILayoutRestorer | null
  ) => {
    const settings = app.serviceManager.serverSettings;
    const server = new ServerLink(settings);
    const model = new RunsModel();
    const sidebar = new RunsSidebar(model, server, {
      compare: rows => openComparison(app, server, themes, rows),
      openNotebook: row => openNotebook(app, row)
    });
    sidebar.id = 'jupyter-train-runs';
    sidebar.title.icon = icon;
    sidebar.title.caption = 'Runs';
    app.shell.add(sidebar, 'left', { rank: 550, type: 'Runs' });
    restorer?.add(sidebar, sidebar.id);
    app.commands.addCommand(CommandIds.showRuns, {
      label: 'Show Runs',
      caption: 'Every run of the store, live',
      execute: () => app.shell.activateById(sidebar.id)
    });
    palette?.addItem({ command: CommandIds.showRuns, category: CATEGORY });
    statusBar?.registerStatusItem('jupyter-train:running', statusItem(app, model));
    const stream = new RunStream(
      settings,
      () => model.reset(),
      changes => model.apply(changes),
      () => model.disconnect()
    );
    const panelRestorer = new PanelRestorer(app, model, server);
    app.docRegistry.addWidgetExtension('Notebook', {
      createNew: (widget: Widget) => {
        const notebook = asNotebook(widget);
        void notebook?.context.ready.then(() => panelRestorer.onOpened(notebook));
      }
    });
    sidebar.disposed.connect(() => {
      stream.dispose();
      panelRestorer.dispose();
    });
  }
};

/** Returns the item of the status bar with the count of live runs; a click shows the sidebar. */
function statusItem(app: JupyterFrontEnd, model: RunsModel): IStatusBar.IItem {
  const item = new Widget({ node: document.createElement('button') });
  item.addClass('jt-StatusItem');
  item.node.addEventListener('click', () => void app.commands.execute(CommandIds.showRuns));
  const update = (): void => {
    setText(item.node, model.live === 1 ? '1 run training' : `${model.live} runs training`);
  };
  model.changed.connect(update);
  update();
  return {
    item,
    align: 'left',
    rank: 100,
    isActive: () => model.live > 0,
    activeStateChanged: model.changed
  };
}

function openComparison(
  app: JupyterFrontEnd,
  server: ServerLink,
  themes: IThemeManager | null,
  rows: IRunRow[]
): void {
  const content = new CompareTab(
    server,
    rows.map(row => row.key)
  );
  const tab = new MainAreaWidget({ content });
  const [first] = rows;
  tab.title.label = rows.length === 1 ? (first?.ref ?? '') : `${rows.length} runs compared`;
  tab.title.icon = icon;
  tab.title.closable = true;
  const redraw = (): void => content.redraw();
  themes?.themeChanged.connect(redraw);
  content.disposed.connect(() => themes?.themeChanged.disconnect(redraw));
  app.shell.add(tab, 'main');
  app.shell.activateById(tab.id);
}

/** Opens the notebook of a run: in JupyterLab in a tab, scrolled to the cell; in Notebook 7 in another page. */
function openNotebook(app: JupyterFrontEnd, row: IRunRow): void {
  if (!app.commands.hasCommand(CommandIds.openDocument) || app.name !== 'JupyterLab') {
    window.open(
      `${PageConfig.getBaseUrl()}notebooks/${encodeURI(row.notebook)}`,
      '_blank',
      'noopener'
    );
    return;
  }
  void app.commands
    .execute(CommandIds.openDocument, { path: row.notebook })
    .then((widget: unknown) => {
      const reveal: unknown =
        widget instanceof Widget ? Reflect.get(widget, 'setFragment') : undefined;
      if (typeof reveal === 'function' && row.cell !== '') {
        reveal.call(widget, `#cell-id=${row.cell}`);
      }
    });
}
