/**
 * The sidebar of runs: filter, order, list, and actions on the selected runs.
 */
import { Dialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';

import type { ServerLink } from '../api/server.js';
import { element, setText } from '../panel/dom.js';
import { isLive, type Status } from '../protocol/status.js';
import type { IRunRow } from '../protocol/types.js';
import { RunCommands } from '../tokens.js';
import { RunList } from './list.js';
import type { RunsModel } from './model.js';
import { SORTS, type Sort } from './rowOrder.js';

/** Commands that the sidebar sends. */
type SidebarCommand = (typeof RunCommands)['pause' | 'resume' | 'stop'];

const EMPTY_NOTE =
  'No runs yet. In a notebook: %load_ext jupyter_train, then %train model data --epochs 5';

/** The title of the dialog that says why a command failed, and the statuses in which a run takes the command. */
const COMMANDS: Record<SidebarCommand, { failed: string; statuses: Status[] }> = {
  [RunCommands.pause]: { failed: 'Not paused', statuses: ['running'] },
  [RunCommands.resume]: { failed: 'Not resumed', statuses: ['paused'] },
  [RunCommands.stop]: { failed: 'Not stopped', statuses: ['running', 'paused'] }
};

/** Actions that the application performs. */
export interface IRunActions {
  /** Compares runs in a tab. */
  compare(rows: IRunRow[]): void;
  /** Opens a run's notebook, at its cell. */
  openNotebook(row: IRunRow): void;
}

/** The sidebar, with every run of the store. */
export class RunsSidebar extends Widget {
  private readonly _list: RunList;
  private readonly _count = element('span', 'jt-RunsCount');
  private readonly _note = element('div', 'jt-RunsNote');
  private readonly _buttons: Record<
    'compare' | 'open' | 'pause' | 'stop' | 'delete',
    HTMLButtonElement
  >;

  private _canPause = true;

  constructor(
    private readonly _model: RunsModel,
    private readonly _server: ServerLink,
    private readonly _actions: IRunActions
  ) {
    super();
    this.addClass('jt-Runs');
    this.addClass('jt-Colours');
    this._list = new RunList(_model, () => this._open());
    this._buttons = {
      compare: this._button('Compare', () => this._actions.compare(this._model.selected)),
      open: this._button('Open notebook', () => this._open()),
      pause: this._button(
        'Pause',
        () => void this._send(this._canPause ? RunCommands.pause : RunCommands.resume)
      ),
      stop: this._button('Stop', () => void this._send(RunCommands.stop)),
      delete: this._button('Delete', () => void this._delete())
    };
    this._note.setAttribute('role', 'status');
    const actions = element('div', 'jt-RunsActions');
    actions.append(...Object.values(this._buttons));
    this.node.append(this._head(), this._note, this._list.node, actions);
    this._model.changed.connect(this._onChanged, this);
    this._onChanged();
  }

  /** Releases the list. */
  override dispose(): void {
    this._model.changed.disconnect(this._onChanged, this);
    this._list.dispose();
    super.dispose();
  }

  private _head(): HTMLElement {
    const head = element('div', 'jt-RunsHead');
    const title = element('h2', 'jt-RunsTitle', 'Runs');
    title.append(this._count);
    const filter = element('input', 'jt-RunsFilter');
    filter.type = 'search';
    filter.placeholder = 'Filter: name, status, tag …';
    filter.setAttribute('aria-label', 'Filter runs');
    filter.addEventListener('input', () => {
      this._model.filter = filter.value.trim();
    });
    const sort = element('select', 'jt-RunsSort');
    sort.setAttribute('aria-label', 'Sort runs by');
    for (const [name, label] of Object.entries(SORTS)) {
      const option = element('option', '', label);
      option.value = name;
      sort.append(option);
    }
    sort.addEventListener('change', () => {
      this._model.sort = sort.value as Sort;
    });
    head.append(title, filter, sort);
    return head;
  }

  private _button(label: string, onClick: () => void): HTMLButtonElement {
    const button = element('button', 'jt-Button', label);
    button.type = 'button';
    button.addEventListener('click', onClick);
    return button;
  }

  private _onChanged(): void {
    const { visible, total, selected, message } = this._model;
    setText(
      this._count,
      total === visible.length ? String(total) : `${visible.length} of ${total}`
    );
    const isEmpty = total === 0 && message === '';
    const filtered = visible.length === 0 && total > 0 ? 'No run passes the filter.' : '';
    setText(this._note, message || (isEmpty ? EMPTY_NOTE : filtered));
    this._note.hidden = this._note.textContent === '';
    const liveCount = selected.filter(row => isLive(row.status)).length;
    this._canPause = liveCount === 0 || selected.some(row => row.status === 'running');
    this._buttons.pause.disabled = liveCount === 0;
    setText(this._buttons.pause, this._canPause ? 'Pause' : 'Resume');
    this._buttons.compare.disabled = selected.length === 0;
    setText(this._buttons.compare, selected.length === 1 ? 'Show' : 'Compare');
    this._buttons.open.disabled = selected.length !== 1 || selected[0]?.notebook === '';
    this._buttons.stop.disabled = liveCount === 0;
    this._buttons.delete.disabled = selected.length === 0 || liveCount > 0;
  }

  private _open(): void {
    const [row] = this._model.selected;
    if (row !== undefined && row.notebook !== '') {
      this._actions.openNotebook(row);
    }
  }

  private async _send(command: SidebarCommand): Promise<void> {
    const { failed, statuses } = COMMANDS[command];
    const rows = this._model.selected.filter(row => statuses.includes(row.status));
    const answers = await Promise.all(rows.map(row => this._server.send(row.key, command, {})));
    await showFailures(failed, rows, answers);
  }

  private async _delete(): Promise<void> {
    const rows = this._model.selected;
    const names = rows.slice(0, 8).map(row => row.ref);
    const more = rows.length > names.length ? ` and ${rows.length - names.length} more` : '';
    const answer = await showDialog({
      title: rows.length === 1 ? 'Delete this run?' : `Delete ${rows.length} runs?`,
      body: `${names.join(', ')}${more}: curves, checkpoints and logs are removed for good.`,
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: 'Delete' })]
    });
    if (answer.button.accept) {
      const answers = await Promise.all(rows.map(row => this._server.delete(row.key)));
      await showFailures('Not deleted', rows, answers);
    }
  }
}

async function showFailures(
  title: string,
  rows: IRunRow[],
  answers: { isDone: boolean; message: string }[]
): Promise<void> {
  const failed = answers.flatMap((answer, index) =>
    answer.isDone ? [] : [`${rows[index]?.ref ?? ''}: ${answer.message}`]
  );
  if (failed.length > 0) {
    await showErrorMessage(title, failed.join('\n'));
  }
}
