/**
 * The controls of a search while it runs: enqueue a trial with given values, narrow a range.
 */
import type { IParam, IStudy } from '../../protocol/types.js';
import type { SendCommand, ShowMessage } from '../controls.js';
import { button } from '../controls.js';
import { RunCommands } from '../../tokens.js';
import { element } from '../dom.js';
import { paramText, ranking } from './trials.js';

const SAMPLED = 'drawn';

/** Two buttons; each opens a form. */
export class StudyControls {
  readonly node = element('div', 'jt-ByHand');
  private readonly _add = element('form', 'jt-AddTrial');
  private readonly _narrow = element('form', 'jt-Narrow');
  private _study: IStudy | null = null;

  /**
   * @param _send - Sends a command to the search.
   * @param _showMessage - Shows what is wrong with an input.
   */
  constructor(
    private readonly _send: SendCommand,
    private readonly _showMessage: ShowMessage
  ) {
    this.node.append(
      button('Add a trial', 'a trial with values of your own', () => this._open(this._add)),
      button('Narrow a range', 'search only a part of a range from now on', () =>
        this._open(this._narrow)
      ),
      this._add,
      this._narrow
    );
    this._add.addEventListener('submit', event => this._onSubmit(event, () => this._onAdd()));
    this._narrow.addEventListener('submit', event => this._onSubmit(event, () => this._onNarrow()));
    this.node.addEventListener('keydown', event => event.stopPropagation()); // no shortcuts while typing
    this._close();
  }

  /** Shows the controls of a study; hides them where it is null. */
  update(study: IStudy | null): void {
    this.node.hidden = study === null || study.params.length === 0;
    this._study = study;
    if (this.node.hidden) {
      this._close();
    }
  }

  private _open(form: HTMLFormElement): void {
    const study = this._study;
    const isOpen = !form.hidden;
    this._close();
    if (isOpen || study === null) {
      return;
    }
    form.replaceChildren(...(form === this._add ? addFields(study) : narrowFields(study)));
    form.hidden = false;
    form.querySelector<HTMLElement>('input, select')?.focus();
  }

  private _close(): void {
    this._add.hidden = true;
    this._narrow.hidden = true;
  }

  private _onSubmit(event: Event, submit: () => void): void {
    event.preventDefault();
    this._showMessage('');
    submit();
  }

  private _onAdd(): void {
    const values: Record<string, unknown> = {};
    const fields = this._add.querySelectorAll<HTMLInputElement | HTMLSelectElement>('[name]');
    for (const field of Array.from(fields)) {
      const param = this._study?.params.find(({ name }) => name === field.name);
      const input = field.value.trim();
      if (input === '' || param === undefined) {
        continue;
      }
      const value = param.labels.length > 0 ? choiceOf(input) : Number(input);
      if (typeof value === 'number' && !Number.isFinite(value)) {
        this._showMessage(`\`${field.name}\`: \`${input}\` is no number`);
        return;
      }
      values[field.name] = value;
    }
    if (Object.keys(values).length === 0) {
      this._showMessage('type a value for at least one name; the others are drawn');
      return;
    }
    this._send(RunCommands.addTrial, { values });
    this._close();
  }

  private _onNarrow(): void {
    const read = (name: string): string =>
      this._narrow
        .querySelector<HTMLInputElement | HTMLSelectElement>(`[name=${name}]`)
        ?.value.trim() ?? '';
    const ends = [read('low'), read('high')];
    const invalid = ends.find(end => end === '' || !Number.isFinite(Number(end)));
    if (invalid !== undefined) {
      this._showMessage(`\`${invalid}\` is no end of a range; expected a number such as 1e-3`);
      return;
    }
    this._send(RunCommands.narrow, { ranges: { [read('param')]: ends.join('..') } });
    this._close();
  }
}

/** Returns a field for each parameter, empty for one that is sampled; its hint is the value of the best trial. */
function addFields(study: IStudy): HTMLElement[] {
  const best = ranking(study)[0] ?? -1;
  const fields = study.params.map(param => {
    if (param.labels.length === 0) {
      const hint = best < 0 ? SAMPLED : paramText(param, best);
      return withLabel(param.name, textInput(param.name, '', hint));
    }
    const select = element('select', '');
    select.name = param.name;
    select.append(option(SAMPLED, ''), ...param.labels.map(label => option(label, label)));
    return withLabel(param.name, select);
  });
  const add = element('button', 'jt-Button', 'Add');
  add.type = 'submit';
  return [...fields, add];
}

/** Returns the fields of a range: which one, and its new ends. */
function narrowFields(study: IStudy): HTMLElement[] {
  const ranges = study.params.filter(param => param.low !== null && param.high !== null);
  if (ranges.length === 0) {
    return [element('span', 'jt-Label', 'only choices are searched')];
  }
  const which = element('select', '');
  which.name = 'param';
  which.append(...ranges.map(({ name }) => option(name, name)));
  const [low, high] = [textInput('low', '', ''), textInput('high', '', '')];
  const fill = (): void => {
    const range: IParam | undefined = ranges.find(({ name }) => name === which.value);
    low.value = String(range?.low ?? '');
    high.value = String(range?.high ?? '');
  };
  which.addEventListener('change', fill);
  fill();
  const narrow = element('button', 'jt-Button', 'Narrow');
  narrow.type = 'submit';
  return [withLabel('range', which), withLabel('from', low), withLabel('to', high), narrow];
}

/** Returns a choice as JSON: labels are `str()` of the choices in Python. */
function choiceOf(label: string): unknown {
  if (label === 'True' || label === 'False') {
    return label === 'True';
  }
  return label.trim() !== '' && Number.isFinite(Number(label)) ? Number(label) : label;
}

function withLabel(name: string, field: HTMLElement): HTMLElement {
  const node = element('label', '', name);
  node.append(field);
  return node;
}

function textInput(name: string, value: string, hint: string): HTMLInputElement {
  const node = element('input', '');
  node.name = name;
  node.type = 'text';
  node.value = value;
  node.placeholder = hint;
  node.autocomplete = 'off';
  return node;
}

function option(label: string, value: string): HTMLOptionElement {
  const node = element('option', '', label);
  node.value = value;
  return node;
}
