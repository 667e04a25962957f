/**
 * The plugin of the form of `%train`: a renderer, and a command and a toolbar button that open a form.
 */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, ToolbarButton } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { DisposableDelegate, type IDisposable } from '@lumino/disposable';
import { Widget } from '@lumino/widgets';

import { CommandIds } from '../tokens.js';
import { FORM_TYPE, FormPanel, type IFormHost } from '../panel/formPanel.js';

const RANK = -100;
const SOURCE = '%load_ext jupyter_train\n%train --form model data --epochs 5';

/** A notebook; this extension does not depend on the notebook package. */
interface INotebook extends Widget {
  content: {
    activeCellIndex: number;
    widgets: readonly Widget[];
    rendermime: {
      mimeTypes: readonly string[];
      createRenderer(mimeType: string): IRenderMime.IRenderer;
      createModel(options: object): IRenderMime.IMimeModel;
    };
  };
  context: {
    model: { sharedModel: { insertCell(index: number, cell: object): unknown } };
    sessionContext: { session: { kernel: { id: string } | null } | null };
  };
}

/** Renders forms, in trusted notebooks. */
export const formPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-train:form',
  description: 'Shows `%train --form`, and opens one.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    registry: IRenderMimeRegistry,
    palette: ICommandPalette | null
  ) => {
    const host = formHost(app);
    registry.addFactory(
      { safe: true, mimeTypes: [FORM_TYPE], createRenderer: () => new FormPanel(host) },
      RANK
    );
    app.commands.addCommand(CommandIds.openForm, {
      label: 'Train with a Form',
      caption: 'A cell with a form for %train, below the active one',
      isEnabled: () => asNotebook(app.shell.currentWidget) !== null,
      execute: () => {
        const notebook = asNotebook(app.shell.currentWidget);
        if (notebook !== null) {
          insertBelow(notebook, notebook.content.activeCellIndex, SOURCE);
        }
      }
    });
    palette?.addItem({ command: CommandIds.openForm, category: 'Training' });
    app.docRegistry.addWidgetExtension('Notebook', {
      createNew: (widget: Widget): IDisposable => {
        const toolbar: unknown = Reflect.get(widget, 'toolbar');
        const button = new ToolbarButton({
          label: 'Train',
          tooltip: 'A cell with a form for %train',
          onClick: () => void app.commands.execute(CommandIds.openForm)
        });
        const insert: unknown =
          toolbar instanceof Widget ? Reflect.get(toolbar, 'insertItem') : undefined;
        if (typeof insert === 'function') {
          insert.call(toolbar, 10, 'jupyter-train-form', button);
        }
        return new DisposableDelegate(() => button.dispose());
      }
    });
  }
};

function formHost(app: JupyterFrontEnd): IFormHost {
  const notebookOf = (node: HTMLElement): INotebook | null => {
    for (const widget of app.shell.widgets('main')) {
      if (widget.node.contains(node)) {
        return asNotebook(widget);
      }
    }
    return null;
  };
  return {
    kernel: node => notebookOf(node)?.context.sessionContext.session?.kernel?.id ?? '',
    widgets: (node, data) => {
      const rendermime = notebookOf(node)?.content.rendermime;
      const [type] = Object.keys(data);
      if (rendermime === undefined || type === undefined || !rendermime.mimeTypes.includes(type)) {
        return null;
      }
      const renderer = rendermime.createRenderer(type);
      void renderer.renderModel(rendermime.createModel({ data, trusted: true }));
      return renderer;
    },
    addCell: (node, source) => {
      const notebook = notebookOf(node);
      const index = notebook?.content.widgets.findIndex(cell => cell.node.contains(node)) ?? -1;
      if (notebook !== null && index >= 0) {
        insertBelow(notebook, index, source);
      }
    }
  };
}

function insertBelow(notebook: INotebook, index: number, source: string): void {
  notebook.context.model.sharedModel.insertCell(index + 1, { cell_type: 'code', source });
  notebook.content.activeCellIndex = index + 1;
}

function asNotebook(widget: Widget | null): INotebook | null {
  const content: unknown = widget === null ? null : Reflect.get(widget, 'content');
  const isNotebook =
    content instanceof Widget && 'rendermime' in content && 'activeCellIndex' in content;
  return isNotebook ? (widget as INotebook) : null;
}
