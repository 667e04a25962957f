/**
 * The trials as a table, the best first; a click on one shows its run.
 */
import type { IStudy } from '../../protocol/types.js';
import { button } from '../controls.js';
import { element } from '../dom.js';
import { valueText } from '../format.js';
import { paramText, tableOrder, trialDurationText, type SelectedTrial } from './trials.js';

/** Rows of the collapsed and of the expanded table. */
const COLLAPSED_ROWS = 8;
const MAX_ROWS = 300;

/** A table of the trials, in the order of `tableOrder`. */
export class TrialTable {
  readonly node = element('div', 'jt-Trials');
  private _isExpanded = false;
  private _canStop = false;
  private _drawnKey = '';

  /**
   * @param _select - Called with the number of a trial that is clicked.
   * @param _stop - Called with the run of a trial that is to be stopped.
   */
  constructor(
    private readonly _select: (trial: number) => void,
    private readonly _stop: (run: string) => void
  ) {}

  /**
   * Shows the trials.
   *
   * @param canStop - Whether a running trial can be stopped.
   */
  update(study: IStudy, selected: SelectedTrial, canStop: boolean): void {
    this._canStop = canStop;
    const key = JSON.stringify([
      study.numbers,
      study.states,
      study.values,
      study.runs,
      selected,
      this._isExpanded,
      canStop
    ]);
    if (key === this._drawnKey) {
      return;
    }
    this._drawnKey = key;
    const indexes = tableOrder(study);
    const rows = indexes.slice(0, this._isExpanded ? MAX_ROWS : COLLAPSED_ROWS);
    const table = element('table', 'jt-TrialTable');
    const head = element('tr', '');
    const names = [
      'trial',
      '',
      ...study.objectives.map(({ metric }) => metric),
      ...study.params.map(({ name }) => name),
      'duration'
    ];
    head.append(...names.map(name => element('th', '', name)));
    const top = element('thead', '');
    top.append(head);
    const body = element('tbody', '');
    body.append(...rows.map(index => this._row(study, index, selected)));
    table.append(top, body);
    this.node.replaceChildren(table);
    if (indexes.length > COLLAPSED_ROWS) {
      this.node.append(this._expandButton(study, selected, indexes.length));
    }
  }

  private _row(study: IStudy, index: number, selected: SelectedTrial): HTMLElement {
    const number = study.numbers[index] ?? 0;
    const state = study.states[index] ?? 'failed';
    const row = element('tr', `jt-Trial jt-mod-${state}`);
    row.classList.toggle('jt-mod-chosen', number === selected);
    const name = element('button', 'jt-Link', String(number));
    name.type = 'button';
    name.title = `show the run of trial ${number}`;
    name.setAttribute('aria-expanded', String(number === selected));
    const first = element('td', '');
    first.append(name);
    const cells = [
      first,
      element('td', 'jt-TrialState', state),
      ...study.values.map(column => element('td', '', valueText(column[index] ?? null))),
      ...study.params.map(param => element('td', '', paramText(param, index))),
      this._lastCell(study, index, state === 'running')
    ];
    row.append(...cells);
    row.addEventListener('click', () => this._select(number));
    return row;
  }

  /** Returns a cell with the duration of a trial, or while it runs with a button that stops it. */
  private _lastCell(study: IStudy, index: number, isRunning: boolean): HTMLElement {
    const cell = element('td', '');
    const run = study.runs[index] ?? '';
    if (!isRunning || !this._canStop || run === '') {
      cell.textContent = trialDurationText(study.seconds[index] ?? null);
      return cell;
    }
    const title = `stop trial ${study.numbers[index]}; the search continues`;
    const stop = button('Stop', title, () => this._stop(run));
    stop.addEventListener('click', event => event.stopPropagation());
    cell.append(stop);
    return cell;
  }

  private _expandButton(study: IStudy, selected: SelectedTrial, count: number): HTMLElement {
    const label = this._isExpanded ? 'Show the best' : `Show all ${count.toLocaleString('en-US')}`;
    const button = element('button', 'jt-Link jt-More', label);
    button.type = 'button';
    button.addEventListener('click', () => {
      this._isExpanded = !this._isExpanded;
      this.update(study, selected, this._canStop);
    });
    return button;
  }
}
