/**
 * The controls of a run while it trains: learning rate, checkpoint, pause, stop.
 */
import { RunCommands, type RunCommand } from '../tokens.js';
import type { ISnapshot } from '../protocol/types.js';
import { element, setText } from './dom.js';
import { valueText } from './format.js';

/** Arguments of a command, as plain JSON. */
export type Arguments = Record<string, unknown>;

/** Sends a command to the run. */
export type SendCommand = (command: RunCommand, args: Arguments) => void;

/** Shows a message, such as what is wrong with an input. */
export type ShowMessage = (text: string) => void;

/** The toolbar of a live run; its elements stay, so that nothing moves under the pointer. */
export class RunControls {
  readonly node = element('div', 'jt-Controls');
  private readonly _rate = element('span', 'jt-Rate');
  private readonly _group = element('select', 'jt-Group');
  private readonly _input = element('input', 'jt-RateInput');
  private readonly _checkpoint: HTMLButtonElement;
  private readonly _pause: HTMLButtonElement;
  private _isPaused = false;
  private _groups = 0;

  constructor(
    private readonly _send: SendCommand,
    private readonly _showMessage: ShowMessage,
    notification: HTMLElement
  ) {
    this.node.setAttribute('role', 'toolbar');
    this.node.setAttribute('aria-label', 'controls of the run');
    this._input.type = 'text';
    this._input.inputMode = 'decimal';
    this._input.setAttribute('aria-label', 'learning rate');
    this._input.addEventListener('keydown', this._onKey);
    this._input.addEventListener('change', this._onRateChange);
    this._group.setAttribute('aria-label', 'parameter group');
    this._rate.append(
      element('span', 'jt-Label', 'LR'),
      this._group,
      this._input,
      button('×½', 'halve the learning rate', () => this._scale(0.5)),
      button('×2', 'double the learning rate', () => this._scale(2))
    );
    this._pause = button('Pause', 'pause the run', () =>
      this._send(this._isPaused ? RunCommands.resume : RunCommands.pause, {})
    );
    this._checkpoint = button('Checkpoint', 'write a checkpoint now', () =>
      this._send(RunCommands.checkpoint, {})
    );
    const stop = button('Stop', 'stop the run; its cell continues', () =>
      this._send(RunCommands.stop, {})
    );
    stop.classList.add('jt-mod-stop');
    this.node.append(this._rate, notification, this._checkpoint, this._pause, stop);
  }

  /** Shows the state of a run that takes commands. */
  update(snapshot: ISnapshot): void {
    this._isPaused = snapshot.status === 'paused';
    setText(this._pause, this._isPaused ? 'Resume' : 'Pause');
    this._pause.title = this._isPaused ? 'resume' : 'wait at the next batch';
    this._checkpoint.hidden = snapshot.study !== null; // its trials have their own
    const rates = newestRates(snapshot);
    this._updateGroups(rates.length);
    this._rate.hidden = rates.length === 0;
    const rate = rates[Math.max(0, this._chosenGroup())] ?? null;
    if (document.activeElement !== this._input) {
      this._input.value = valueText(rate);
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

  /** Returns the index of the chosen parameter group; -1 for all. */
  private _chosenGroup(): number {
    return this._group.hidden ? -1 : Number(this._group.value);
  }

  private _withGroup(args: Arguments): Arguments {
    const group = this._chosenGroup();
    return group < 0 ? args : { ...args, group };
  }

  private _scale(factor: number): void {
    this._send(RunCommands.setLr, this._withGroup({ factor }));
  }

  private readonly _onKey = (event: KeyboardEvent): void => {
    event.stopPropagation(); // JupyterLab's shortcuts are not meant while typing
    if (event.key === 'Enter') {
      this._input.blur();
    }
  };

  private readonly _onRateChange = (): void => {
    const input = this._input.value.trim();
    const lr = Number(input || NaN);
    if (!Number.isFinite(lr)) {
      this._showMessage(`\`${input}\` is no learning rate; expected a number such as 1e-3`);
      return;
    }
    this._send(RunCommands.setLr, this._withGroup({ lr }));
  };
}

/** Returns a button in the style of the panel. */
export function button(text: string, title: string, onClick: () => void): HTMLButtonElement {
  const node = element('button', 'jt-Button', text);
  node.type = 'button';
  node.title = title;
  node.addEventListener('click', onClick);
  return node;
}

/** Returns the newest learning rate of each parameter group, in their order. */
function newestRates(snapshot: ISnapshot): (number | null)[] {
  return snapshot.metricGroups
    .flatMap(group => group.series)
    .filter(series => /^lr(\/\d+)?(\/group\d+)?$/.test(series.name))
    .map(series => series.last);
}
