/**
 * What can be done to a run while it trains: learning rate, checkpoint, pause, stop.
 */
import type { ISnapshot } from '../protocol/types.js';
import { element, setText } from './dom.js';
import { valueText } from './format.js';

/** Arguments of a command, as plain JSON. */
export type Arguments = Record<string, unknown>;

/** Carries a command to the run. */
export type Tell = (verb: string, given: Arguments) => void;

/** Says what is wrong with something typed. */
export type Say = (text: string) => void;

/** The buttons of a running run; keeps its elements, so that nothing moves under the pointer. */
export class Controls {
  readonly node = element('div', 'jt-Controls');
  private readonly _rate = element('span', 'jt-Rate');
  private readonly _group = element('select', 'jt-Group');
  private readonly _input = element('input', 'jt-RateInput');
  private readonly _checkpoint: HTMLButtonElement;
  private readonly _pause: HTMLButtonElement;
  private _isPaused = false;
  private _groups = 0;

  constructor(
    private readonly _tell: Tell,
    private readonly _say: Say,
    bell: HTMLElement
  ) {
    this.node.setAttribute('role', 'toolbar');
    this.node.setAttribute('aria-label', 'controls of the run');
    this._input.type = 'text';
    this._input.inputMode = 'decimal';
    this._input.setAttribute('aria-label', 'learning rate');
    this._input.addEventListener('keydown', this._onKey);
    this._input.addEventListener('change', this._onRate);
    this._group.setAttribute('aria-label', 'parameter group');
    this._rate.append(
      element('span', 'jt-Label', 'LR'),
      this._group,
      this._input,
      button('×½', 'halve the learning rate', () => this._scale(0.5)),
      button('×2', 'double the learning rate', () => this._scale(2))
    );
    this._pause = button('Pause', 'pause the run', () =>
      this._tell(this._isPaused ? 'resume' : 'pause', {})
    );
    this._checkpoint = button('Checkpoint', 'write a checkpoint of this moment', () =>
      this._tell('checkpoint', {})
    );
    const stop = button('Stop', 'stop the run; its cell goes on', () => this._tell('stop', {}));
    stop.classList.add('jt-mod-stop');
    this.node.append(this._rate, bell, this._checkpoint, this._pause, stop);
  }

  /** Shows the state of a run that can be steered. */
  update(snapshot: ISnapshot): void {
    this._isPaused = snapshot.status === 'paused';
    setText(this._pause, this._isPaused ? 'Resume' : 'Pause');
    this._pause.title = this._isPaused ? 'go on' : 'wait at the next batch';
    this._checkpoint.hidden = snapshot.study !== null; // its trials keep their own
    const rates = ratesOf(snapshot);
    this._updateGroups(rates.length);
    this._rate.hidden = rates.length === 0;
    const shown = rates[Math.max(0, this._chosenGroup())] ?? null;
    if (document.activeElement !== this._input) {
      this._input.value = valueText(shown);
    }
  }

  private _updateGroups(count: number): void {
    if (count === this._groups) {
      return;
    }
    this._groups = count;
    this._group.hidden = count < 2;
    const names = ['all', ...Array.from({ length: count }, (_, index) => String(index))];
    this._group.replaceChildren(
      ...names.map((name, index) => {
        const option = element('option', '', name === 'all' ? 'all groups' : `group ${name}`);
        option.value = String(index - 1);
        return option;
      })
    );
  }

  /** Index of the chosen parameter group; -1 for all. */
  private _chosenGroup(): number {
    return this._group.hidden ? -1 : Number(this._group.value);
  }

  private _withGroup(given: Arguments): Arguments {
    const group = this._chosenGroup();
    return group < 0 ? given : { ...given, group };
  }

  private _scale(factor: number): void {
    this._tell('set_lr', this._withGroup({ factor }));
  }

  private readonly _onKey = (event: KeyboardEvent): void => {
    event.stopPropagation(); // JupyterLab's shortcuts are not meant while typing
    if (event.key === 'Enter') {
      this._input.blur();
    }
  };

  private readonly _onRate = (): void => {
    const typed = this._input.value.trim();
    const lr = Number(typed || NaN);
    if (!Number.isFinite(lr)) {
      this._say(`\`${typed}\` is no learning rate; expected a number such as 1e-3`);
      return;
    }
    this._tell('set_lr', this._withGroup({ lr }));
  };
}

/** A button in the panel's style. */
export function button(text: string, title: string, onClick: () => void): HTMLButtonElement {
  const made = element('button', 'jt-Button', text);
  made.type = 'button';
  made.title = title;
  made.addEventListener('click', onClick);
  return made;
}

/** The newest learning rate of each parameter group, in the order in which groups are counted. */
function ratesOf(snapshot: ISnapshot): (number | null)[] {
  return snapshot.metricGroups
    .flatMap(group => group.series)
    .filter(series => /^lr(\/\d+)?(\/group\d+)?$/.test(series.name))
    .map(series => series.last);
}
