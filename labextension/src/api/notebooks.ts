/**
 * The open notebooks: which of them shows a run, and where. This extension does not depend on the notebook package.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Contents } from '@jupyterlab/services';
import type { Widget } from '@lumino/widgets';

import { MIME_TYPE } from '../protocol/guards.js';
import { asRecord, isRecord } from '../protocol/json.js';
import type { Bundle } from './server.js';

/** Outputs of a code cell. */
interface IOutputs {
  readonly length: number;
  get(index: number): { data: Record<string, unknown> };
  add(output: object): number;
  set(index: number, output: object): void;
}

/** A cell of a document. */
interface ICell {
  readonly id: string;
  readonly outputs?: IOutputs;
  trusted: boolean;
}

/** The document behind a notebook. */
interface IDocument {
  readonly path: string;
  readonly localPath: string;
  readonly isReady: boolean;
  readonly ready: Promise<void>;
  readonly contentsModel: Contents.IModel | null;
  readonly model: {
    readonly dirty: boolean;
    readonly readOnly: boolean;
    readonly collaborative?: boolean;
    readonly cells: Iterable<ICell>;
    toJSON(): unknown;
  };
  save(): Promise<void>;
}

/** A notebook's widget. */
export interface INotebook extends Widget {
  readonly content: Widget & { readonly widgets: readonly Widget[] };
  readonly context: IDocument;
}

/** Returns a widget as a notebook; null for any other. */
export function asNotebook(widget: Widget): INotebook | null {
  const context: unknown = Reflect.get(widget, 'context');
  const model: unknown = isRecord(context) ? Reflect.get(context, 'model') : null;
  return isRecord(model) && 'cells' in model ? (widget as INotebook) : null;
}

/** Returns the open notebooks of a path below the server's root. */
export function notebooksAt(app: JupyterFrontEnd, path: string): INotebook[] {
  return Array.from(app.shell.widgets('main'))
    .map(asNotebook)
    .filter(notebook => notebook !== null)
    .filter(({ context }) => context.isReady && context.localPath === path);
}

/** Returns the keys of the runs that the outputs of a notebook show. */
export function runsIn({ context }: INotebook): Set<unknown> {
  const cells = Array.from(context.model.cells);
  return new Set(cells.flatMap(({ outputs }) => panelsOf(outputs).map(panel => panel.run)));
}

/** Returns the panel in each output; an empty object for other outputs. */
function panelsOf(outputs: IOutputs | undefined): Record<string, unknown>[] {
  return Array.from({ length: outputs?.length ?? 0 }, (_, index) => {
    const panel = outputs?.get(index).data[MIME_TYPE];
    return asRecord(panel);
  });
}

/**
 * Adds a panel to the outputs of a cell that does not show its run, in place of a line that says it is loading.
 *
 * @returns whether it was added; a cell that is executed in this page will show its run by itself.
 */
export function addPanel(notebook: INotebook, cell: string, data: Bundle): boolean {
  const target = Array.from(notebook.context.model.cells).find(({ id }) => id === cell);
  if (target?.outputs === undefined || isExecutedHere(notebook, target)) {
    return false;
  }
  const output = { output_type: 'display_data', data, metadata: {} };
  const loading = panelsOf(target.outputs).findIndex(panel => panel.status === 'loading');
  if (target.outputs.length <= (loading >= 0 ? 1 : 0)) {
    target.trusted = true; // as executing it does: all of its outputs come from this run
  }
  if (loading >= 0) {
    target.outputs.set(loading, output);
  } else {
    target.outputs.add(output);
  }
  return true;
}

function isExecutedHere({ content }: INotebook, cell: ICell): boolean {
  const widget = content.widgets.find(view => Reflect.get(view, 'model') === cell);
  const area: unknown = widget === undefined ? null : Reflect.get(widget, 'outputArea');
  const future: unknown =
    typeof area === 'object' && area !== null ? Reflect.get(area, 'future') : null;
  return (
    typeof future === 'object' && future !== null && Reflect.get(future, 'isDisposed') !== true
  );
}

/** The newest quiet save of each document. */
const quietSaves = new WeakMap<INotebook['context'], Promise<boolean>>();

/**
 * Saves a document where that opens no dialog: it is writable, and the file is the one that was read.
 *
 * The context's own `save` opens a dialog when the file has changed or cannot be written. A save by the user waits
 * until this one is over: it would find the file changed on disk without knowing that this extension changed it.
 */
export function saveQuietly(notebook: INotebook, contents: Contents.IManager): Promise<boolean> {
  const { context } = notebook;
  const earlier = quietSaves.get(context);
  if (earlier === undefined) {
    const save = context.save.bind(context);
    context.save = async () => {
      await quietSaves.get(context);
      await save();
    };
  }
  const saving = (earlier ?? Promise.resolve(false)).then(() => write(notebook, contents));
  quietSaves.set(context, saving);
  return saving;
}

async function write({ context }: INotebook, contents: Contents.IManager): Promise<boolean> {
  const { model, path, contentsModel: read } = context;
  const updateContentsModel: unknown = Reflect.get(context, '_updateContentsModel');
  const isSavable = model.dirty && !model.readOnly && model.collaborative !== true;
  if (!isSavable || read?.writable !== true || typeof updateContentsModel !== 'function') {
    return false;
  }
  try {
    const disk = await contents.get(path, { content: false, hash: true });
    if (!disk.writable || !isSameFile(disk, read)) {
      return false;
    }
    const options = { type: 'notebook' as const, format: 'json' as const, content: model.toJSON() };
    const saved = await contents.save(path, options);
    const { hash, hash_algorithm } = await contents.get(path, { content: false, hash: true });
    updateContentsModel.call(context, { ...saved, hash, hash_algorithm });
    return true;
  } catch {
    return false; // the disk is full or the server away: the document stays unsaved, as its tab says
  }
}

function isSameFile(disk: Contents.IModel, read: Contents.IModel): boolean {
  return disk.hash != null && read.hash != null
    ? disk.hash === read.hash
    : disk.last_modified === read.last_modified;
}
