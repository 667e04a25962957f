/**
 * A line of the list: created once, and filled with another run when the list scrolls.
 */
import { element, setText } from '../panel/dom.js';
import { Sparkline } from '../panel/charts/sparkline.js';
import { durationText, sizeText, valueText } from '../panel/format.js';
import type { IRunRow } from '../protocol/types.js';

/** The height of a line, in pixels. */
export const ROW_HEIGHT = 46;

/** A run as an option of a list box. */
export class RunLine {
  readonly node = element('div', 'jt-Run');
  private readonly _ref = element('span', 'jt-RunRef');
  private readonly _metric = element('span', 'jt-RunMetric');
  private readonly _best = element('b', 'jt-RunBest');
  private readonly _status = element('span', 'jt-RunStatus');
  private readonly _sparkline = new Sparkline(44, 16);
  private readonly _numbers = element('span', 'jt-RunNumbers');

  constructor() {
    this.node.setAttribute('role', 'option');
    const top = element('div', 'jt-RunTop');
    top.append(element('i', 'jt-Dot'), this._ref, this._metric, this._best);
    const below = element('div', 'jt-RunBelow');
    below.append(this._status, this._numbers, this._sparkline.node);
    this.node.append(top, below);
  }

  /** Shows a run. */
  show(row: IRunRow, index: number, total: number, isSelected: boolean, isActive: boolean): void {
    this.node.id = `jt-run-${row.key}`;
    this.node.dataset.key = row.key;
    this.node.dataset.status = row.status;
    this.node.dataset.tone = row.endedWith === '' ? '' : 'warning';
    this.node.style.transform = `translateY(${index * ROW_HEIGHT}px)`;
    this.node.setAttribute('aria-posinset', String(index + 1));
    this.node.setAttribute('aria-setsize', String(total));
    this.node.setAttribute('aria-selected', String(isSelected));
    this.node.classList.toggle('jt-mod-active', isActive);
    this.node.title = [row.ref, row.notebook, row.tags.join(', ')].filter(Boolean).join('\n');
    setText(this._ref, row.ref);
    setText(this._metric, row.best === null ? '' : row.metric);
    setText(this._best, row.best === null ? '' : valueText(row.best));
    setText(this._status, row.statusText);
    setText(
      this._numbers,
      [durationText(row.durationSeconds), sizeText(row.sizeBytes)]
        .filter(text => text !== '–')
        .join(' · ')
    );
    this._sparkline.show(row.trail);
  }
}
