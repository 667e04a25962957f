/**
 * The header of a panel: name, status, progress bar, and the status line.
 */
import { isPending, isLive } from '../protocol/status.js';
import type { ISnapshot, IStatusPart } from '../protocol/types.js';
import { element, setText } from './dom.js';

/** The header; its elements stay, so that nothing moves when values change. */
export class Header {
  readonly node = element('div', 'jt-Header');
  private readonly _dot = element('span', 'jt-Dot');
  private readonly _name = element('span', 'jt-Name');
  private readonly _status = element('span', 'jt-Status');
  private readonly _tags = element('span', 'jt-Tags');
  private readonly _data = element('span', 'jt-Data');
  private readonly _bar = element('div', 'jt-Bar');
  private readonly _fill = element('div', 'jt-BarFill');
  private readonly _numbers = element('div', 'jt-Numbers');
  private readonly _cells = new Map<string, HTMLElement>();

  /**
   * @param controls - Placed at the right of the title.
   */
  constructor(controls: HTMLElement) {
    const title = element('div', 'jt-Title');
    title.append(this._dot, this._name, this._status, this._tags, controls);
    const line = element('div', 'jt-NumbersLine');
    line.append(this._numbers, this._data);
    this._status.setAttribute('role', 'status');
    this._dot.setAttribute('aria-hidden', 'true');
    this._tags.title = 'tags';
    this._bar.setAttribute('role', 'progressbar');
    this._bar.setAttribute('aria-label', 'training progress');
    this._bar.append(this._fill);
    this.node.append(title, this._bar, line);
  }

  /**
   * Shows a snapshot.
   *
   * @param isCurrent - Whether it is recent enough to say what the run does now.
   */
  update(snapshot: ISnapshot, isCurrent: boolean): void {
    this.node.dataset.status = snapshot.status;
    this.node.dataset.tone = snapshot.endedWith === '' ? '' : 'warning';
    setText(this._name, snapshot.ref);
    const isPast = isPending(snapshot.status) && !isCurrent;
    setText(this._status, isPast ? snapshot.statusTextLater : snapshot.statusText);
    setText(this._tags, snapshot.tags.join(', '));
    setText(this._data, snapshot.data);
    this._updateBar(snapshot);
    this._updateStatusLine(snapshot.statusLine);
  }

  private _updateBar(snapshot: ISnapshot): void {
    const { progress } = snapshot;
    const step = progress.step ?? progress.trial;
    const steps = progress.steps ?? progress.trials;
    const isShown = isLive(snapshot.status) && step !== null && steps !== null && steps > 0;
    this._bar.classList.toggle('jt-mod-done', !isShown);
    const share = isShown ? Math.min(1, step / steps) : snapshot.status === 'finished' ? 1 : 0;
    this._fill.style.transform = `scaleX(${share})`;
    this._bar.setAttribute('aria-valuenow', String(Math.round(100 * share)));
  }

  private _updateStatusLine(parts: IStatusPart[]): void {
    const labels = new Set(parts.map(({ label }) => label));
    for (const [label, cell] of this._cells) {
      if (!labels.has(label)) {
        cell.remove();
        this._cells.delete(label);
      }
    }
    parts.forEach(({ label, value }, index) => {
      const cell = this._cell(label);
      setText(cell.lastElementChild ?? cell, value);
      if (this._numbers.children[index] !== cell) {
        this._numbers.insertBefore(cell, this._numbers.children[index] ?? null);
      }
    });
  }

  private _cell(label: string): HTMLElement {
    const known = this._cells.get(label);
    if (known !== undefined) {
      return known;
    }
    const cell = element('div', 'jt-Number');
    cell.append(...(label === '' ? [] : [element('span', 'jt-Label', label)]), element('b', ''));
    this._cells.set(label, cell);
    return cell;
  }
}
