/**
 * The trials as a table, the best first; a click on one shows its run.
 */
import type { IStudy } from '../../protocol/types.js';
import { button } from '../controls.js';
import { element } from '../dom.js';
import { durationText, valueText } from '../format.js';
import { paramText, ranking } from './plots.js';

const FEW = 8;
const MOST = 300;

/** Those that run, those that wait, the complete by their objective, the infeasible, the others, newest first. */
export class TrialTable {
  readonly node = element('div', 'jt-Trials');
  private _isWhole = false;
  private _isSteered = false;
  private _drawnAs = '';

  /**
   * @param _choose - Told the number of a trial that is clicked.
   * @param _stop - Told the run of a trial that shall end.
   */
  constructor(
    private readonly _choose: (trial: number) => void,
    private readonly _stop: (run: string) => void
  ) {}

  /**
   * Shows the trials.
   *
   * @param isSteered - Whether one that runs can be stopped.
   */
  update(study: IStudy, chosen: number, isSteered: boolean): void {
    this._isSteered = isSteered;
    const key = JSON.stringify([
      study.numbers,
      study.states,
      study.values,
      study.runs,
      chosen,
      this._isWhole,
      isSteered
    ]);
    if (key === this._drawnAs) {
      return;
    }
    this._drawnAs = key;
    const places = order(study);
    const shown = places.slice(0, this._isWhole ? MOST : FEW);
    const table = element('table', 'jt-TrialTable');
    const head = element('tr', '');
    const names = [
      'trial',
      '',
      ...study.objectives.map(({ metric }) => metric),
      ...study.params.map(({ name }) => name),
      'took'
    ];
    head.append(...names.map(name => element('th', '', name)));
    const top = element('thead', '');
    top.append(head);
    const body = element('tbody', '');
    body.append(...shown.map(place => this._row(study, place, chosen)));
    table.append(top, body);
    this.node.replaceChildren(table);
    if (places.length > FEW) {
      this.node.append(this._more(study, chosen, places.length));
    }
  }

  private _row(study: IStudy, place: number, chosen: number): HTMLElement {
    const number = study.numbers[place] ?? 0;
    const state = study.states[place] ?? 'failed';
    const row = element('tr', `jt-Trial jt-mod-${state}`);
    row.classList.toggle('jt-mod-chosen', number === chosen);
    const name = element('button', 'jt-Link', String(number));
    name.type = 'button';
    name.title = `show the run of trial ${number}`;
    name.setAttribute('aria-expanded', String(number === chosen));
    const first = element('td', '');
    first.append(name);
    const cells = [
      first,
      element('td', 'jt-TrialState', state),
      ...study.values.map(column => element('td', '', valueText(column[place] ?? null))),
      ...study.params.map(param => element('td', '', paramText(param, place))),
      this._last(study, place, state === 'running')
    ];
    row.append(...cells);
    row.addEventListener('click', () => this._choose(number));
    return row;
  }

  /** How long it took; while it runs, a button that stops it. */
  private _last(study: IStudy, place: number, isRunning: boolean): HTMLElement {
    const cell = element('td', '');
    const run = study.runs[place] ?? '';
    if (!isRunning || !this._isSteered || run === '') {
      cell.textContent = tookText(study.seconds[place] ?? null);
      return cell;
    }
    const words = `stop trial ${study.numbers[place]}; the search goes on`;
    const stop = button('Stop', words, () => this._stop(run));
    stop.addEventListener('click', event => event.stopPropagation());
    cell.append(stop);
    return cell;
  }

  private _more(study: IStudy, chosen: number, count: number): HTMLElement {
    const words = this._isWhole ? 'Show the best' : `Show all ${count.toLocaleString('en-US')}`;
    const button = element('button', 'jt-Link jt-More', words);
    button.type = 'button';
    button.addEventListener('click', () => {
      this._isWhole = !this._isWhole;
      this.update(study, chosen, this._isSteered);
    });
    return button;
  }
}

function tookText(seconds: number | null): string {
  return seconds !== null && seconds < 10 ? `${seconds.toFixed(1)} s` : durationText(seconds);
}

function order(study: IStudy): number[] {
  const done = ranking(study);
  const of = (state: string): number[] =>
    study.numbers.map((_, place) => place).filter(place => study.states[place] === state);
  const rest = [...of('pruned'), ...of('failed')].sort((a, b) => b - a);
  return [...of('running'), ...of('waiting'), ...done, ...of('infeasible'), ...rest];
}
