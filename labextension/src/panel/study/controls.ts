/**
 * What a search takes by hand while it runs: a trial with these values, or a narrower range.
 */
import type { IParam, IStudy } from '../../protocol/types.js';
import type { Say, Tell } from '../controls.js';
import { button } from '../controls.js';
import { element } from '../dom.js';
import { paramText, ranking } from './plots.js';

const DRAWN = 'drawn';

/** Two buttons; each opens a line of inputs. */
export class ByHand {
  readonly node = element('div', 'jt-ByHand');
  private readonly _add = element('form', 'jt-AddTrial');
  private readonly _narrow = element('form', 'jt-Narrow');
  private _study: IStudy | null = null;

  /**
   * @param _tell - Told what is to be done.
   * @param _say - Told what is wrong with what was typed.
   */
  constructor(
    private readonly _tell: Tell,
    private readonly _say: Say
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

  /** Shows what can be done to a study; `null` where nothing can. */
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

  private _onSubmit(event: Event, work: () => void): void {
    event.preventDefault();
    this._say('');
    work();
  }

  private _onAdd(): void {
    const values: Record<string, unknown> = {};
    const fields = this._add.querySelectorAll<HTMLInputElement | HTMLSelectElement>('[name]');
    for (const field of Array.from(fields)) {
      const param = this._study?.params.find(({ name }) => name === field.name);
      const typed = field.value.trim();
      if (typed === '' || param === undefined) {
        continue;
      }
      const value = param.labels.length > 0 ? choiceOf(typed) : Number(typed);
      if (typeof value === 'number' && !Number.isFinite(value)) {
        this._say(`\`${field.name}\`: \`${typed}\` is no number`);
        return;
      }
      values[field.name] = value;
    }
    if (Object.keys(values).length === 0) {
      this._say('type a value for at least one name; the others are drawn');
      return;
    }
    this._tell('add_trial', { values });
    this._close();
  }

  private _onNarrow(): void {
    const read = (name: string): string =>
      this._narrow
        .querySelector<HTMLInputElement | HTMLSelectElement>(`[name=${name}]`)
        ?.value.trim() ?? '';
    const ends = [read('low'), read('high')];
    const wrong = ends.find(end => end === '' || !Number.isFinite(Number(end)));
    if (wrong !== undefined) {
      this._say(`\`${wrong}\` is no end of a range; expected a number such as 1e-3`);
      return;
    }
    this._tell('narrow', { ranges: { [read('param')]: ends.join('..') } });
    this._close();
  }
}

/** A field for each parameter, empty for what is drawn; what the best trial had as a hint. */
function addFields(study: IStudy): HTMLElement[] {
  const best = ranking(study)[0] ?? -1;
  const fields = study.params.map(param => {
    if (param.labels.length === 0) {
      const hint = best < 0 ? DRAWN : paramText(param, best);
      return labelled(param.name, input(param.name, '', hint));
    }
    const select = element('select', '');
    select.name = param.name;
    select.append(option(DRAWN, ''), ...param.labels.map(label => option(label, label)));
    return labelled(param.name, select);
  });
  const add = element('button', 'jt-Button', 'Add');
  add.type = 'submit';
  return [...fields, add];
}

/** A range, and the ends it shall have. */
function narrowFields(study: IStudy): HTMLElement[] {
  const ranges = study.params.filter(param => param.low !== null && param.high !== null);
  if (ranges.length === 0) {
    return [element('span', 'jt-Label', 'only choices are searched')];
  }
  const which = element('select', '');
  which.name = 'param';
  which.append(...ranges.map(({ name }) => option(name, name)));
  const [low, high] = [input('low', '', ''), input('high', '', '')];
  const fill = (): void => {
    const range: IParam | undefined = ranges.find(({ name }) => name === which.value);
    low.value = String(range?.low ?? '');
    high.value = String(range?.high ?? '');
  };
  which.addEventListener('change', fill);
  fill();
  const narrow = element('button', 'jt-Button', 'Narrow');
  narrow.type = 'submit';
  return [labelled('range', which), labelled('from', low), labelled('to', high), narrow];
}

/** A choice as Python has it: labels are `str()` of the choices. */
function choiceOf(label: string): unknown {
  if (label === 'True' || label === 'False') {
    return label === 'True';
  }
  return label.trim() !== '' && Number.isFinite(Number(label)) ? Number(label) : label;
}

function labelled(name: string, field: HTMLElement): HTMLElement {
  const made = element('label', '', name);
  made.append(field);
  return made;
}

function input(name: string, value: string, hint: string): HTMLInputElement {
  const made = element('input', '');
  made.name = name;
  made.type = 'text';
  made.value = value;
  made.placeholder = hint;
  made.autocomplete = 'off';
  return made;
}

function option(label: string, value: string): HTMLOptionElement {
  const made = element('option', '', label);
  made.value = value;
  return made;
}
