/**
 * The notebooks that are open, without depending on the notebook package: which of them shows a run, and where.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Contents } from '@jupyterlab/services';
import type { Widget } from '@lumino/widgets';

import { MIME_TYPE } from '../protocol/guards.js';
import { isRecord } from '../protocol/json.js';
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

/** A widget as a notebook; null for any other. */
export function asNotebook(widget: Widget): INotebook | null {
  const context: unknown = Reflect.get(widget, 'context');
  const model: unknown = isRecord(context) ? Reflect.get(context, 'model') : null;
  return isRecord(model) && 'cells' in model ? (widget as INotebook) : null;
}

/** The open notebooks of a path below the server's root. */
export function notebooksAt(app: JupyterFrontEnd, path: string): INotebook[] {
  return Array.from(app.shell.widgets('main'))
    .map(asNotebook)
    .filter(one => one !== null)
    .filter(({ context }) => context.isReady && context.localPath === path);
}

/** The runs that some output of the document shows. */
export function runsIn({ context }: INotebook): Set<unknown> {
  const cells = Array.from(context.model.cells);
  return new Set(cells.flatMap(({ outputs }) => panelsOf(outputs).map(panel => panel.run)));
}

/** Our panel in each output; something empty for other outputs. */
function panelsOf(outputs: IOutputs | undefined): Record<string, unknown>[] {
  return Array.from({ length: outputs?.length ?? 0 }, (_, at) => {
    const panel = outputs?.get(at).data[MIME_TYPE];
    return isRecord(panel) ? panel : {};
  });
}

/**
 * Puts a panel below a cell that shows nothing of its run, in place of a line that says it is loading.
 *
 * @returns whether there is such a cell; one that is executed in this page will show its run by itself.
 */
export function putBelow(notebook: INotebook, cell: string, data: Bundle): boolean {
  const found = Array.from(notebook.context.model.cells).find(({ id }) => id === cell);
  if (found?.outputs === undefined || isExecutedHere(notebook, found)) {
    return false;
  }
  const output = { output_type: 'display_data', data, metadata: {} };
  const loading = panelsOf(found.outputs).findIndex(panel => panel.status === 'loading');
  if (found.outputs.length <= (loading >= 0 ? 1 : 0)) {
    found.trusted = true; // as executing it does: nothing in it is from elsewhere
  }
  if (loading >= 0) {
    found.outputs.set(loading, output);
  } else {
    found.outputs.add(output);
  }
  return true;
}

function isExecutedHere({ content }: INotebook, cell: ICell): boolean {
  const widget = content.widgets.find(one => Reflect.get(one, 'model') === cell);
  const area: unknown = widget === undefined ? null : Reflect.get(widget, 'outputArea');
  const future: unknown =
    typeof area === 'object' && area !== null ? Reflect.get(area, 'future') : null;
  return (
    typeof future === 'object' && future !== null && Reflect.get(future, 'isDisposed') !== true
  );
}

/** What is being saved quietly, or was. */
const quiet = new WeakMap<INotebook['context'], Promise<boolean>>();

/**
 * Saves a document where that asks nobody anything: it is writable, and on disk it is what was read.
 *
 * The context's own `save` opens a dialog when the file has changed or cannot be written. Somebody else's save waits
 * until this one is over: it would find the file changed on disk, and not know yet by whom.
 */
export function saveQuietly(notebook: INotebook, contents: Contents.IManager): Promise<boolean> {
  const { context } = notebook;
  const before = quiet.get(context);
  if (before === undefined) {
    const save = context.save.bind(context);
    context.save = async () => {
      await quiet.get(context);
      await save();
    };
  }
  const writing = (before ?? Promise.resolve(false)).then(() => write(notebook, contents));
  quiet.set(context, writing);
  return writing;
}

async function write({ context }: INotebook, contents: Contents.IManager): Promise<boolean> {
  const { model, path, contentsModel: known } = context;
  const learn: unknown = Reflect.get(context, '_updateContentsModel');
  const isOurs = model.dirty && !model.readOnly && model.collaborative !== true;
  if (!isOurs || known?.writable !== true || typeof learn !== 'function') {
    return false;
  }
  try {
    const disk = await contents.get(path, { content: false, hash: true });
    if (!disk.writable || !isSame(disk, known)) {
      return false;
    }
    const options = { type: 'notebook' as const, format: 'json' as const, content: model.toJSON() };
    const saved = await contents.save(path, options);
    const { hash, hash_algorithm } = await contents.get(path, { content: false, hash: true });
    learn.call(context, { ...saved, hash, hash_algorithm });
    return true;
  } catch {
    return false; // the disk is full or the server away: the document stays unsaved, as its tab says
  }
}

function isSame(disk: Contents.IModel, known: Contents.IModel): boolean {
  return disk.hash != null && known.hash != null
    ? disk.hash === known.hash
    : disk.last_modified === known.last_modified;
}
