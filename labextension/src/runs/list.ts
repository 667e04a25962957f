/**
 * The list itself: only the lines in sight exist, so that ten thousand runs scroll like ten.
 */
import { element } from '../panel/dom.js';
import type { RunsModel } from './model.js';
import { ROW_HEIGHT, RunLine } from './runLine.js';

const BEYOND = 4;

/** A list box over the runs of a model: click, ctrl-click, shift-click, arrow keys, space. */
export class RunList {
  readonly node = element('div', 'jt-RunList');
  private readonly _room = element('div', 'jt-RunRoom');
  private readonly _lines: RunLine[] = [];
  private readonly _resize: ResizeObserver;
  private _active = '';
  private _anchor = '';
  private _frame = 0;

  constructor(
    private readonly _model: RunsModel,
    private readonly _onOpen: () => void
  ) {
    this.node.tabIndex = 0;
    this.node.setAttribute('role', 'listbox');
    this.node.setAttribute('aria-multiselectable', 'true');
    this.node.setAttribute('aria-label', 'Runs');
    this.node.append(this._room);
    this.node.addEventListener('scroll', this._later);
    this.node.addEventListener('click', this._onClick);
    this.node.addEventListener('dblclick', this._onOpen);
    this.node.addEventListener('keydown', this._onKey);
    this._resize = new ResizeObserver(this._later);
    this._resize.observe(this.node);
    this._model.changed.connect(this._later);
  }

  /** Lets go of everything. */
  dispose(): void {
    cancelAnimationFrame(this._frame);
    this._resize.disconnect();
    this._model.changed.disconnect(this._later);
  }

  private readonly _later = (): void => {
    cancelAnimationFrame(this._frame);
    this._frame = requestAnimationFrame(() => this._draw());
  };

  private _draw(): void {
    const rows = this._model.shown;
    this._room.style.height = `${rows.length * ROW_HEIGHT}px`;
    const first = Math.max(0, Math.floor(this.node.scrollTop / ROW_HEIGHT) - BEYOND);
    const inSight = Math.ceil(this.node.clientHeight / ROW_HEIGHT) + 2 * BEYOND;
    const seen = rows.slice(first, first + inSight);
    while (this._lines.length < seen.length) {
      const line = new RunLine();
      this._lines.push(line);
      this._room.append(line.node);
    }
    this._lines.forEach((line, index) => {
      const row = seen[index];
      line.node.hidden = row === undefined;
      if (row !== undefined) {
        const isSelected = this._model.isSelected(row.key);
        line.show(row, first + index, rows.length, isSelected, row.key === this._active);
      }
    });
    const isSeen = seen.some(row => row.key === this._active);
    if (isSeen) {
      this.node.setAttribute('aria-activedescendant', `jt-run-${this._active}`);
    } else {
      this.node.removeAttribute('aria-activedescendant');
    }
  }

  private readonly _onClick = (event: MouseEvent): void => {
    const line = event.target instanceof Element ? event.target.closest('.jt-Run') : null;
    const key = line instanceof HTMLElement ? line.dataset.key : undefined;
    if (key === undefined) {
      return;
    }
    this._active = key;
    if (event.shiftKey && this._anchor !== '') {
      this._model.select(this._between(this._anchor, key));
      return;
    }
    this._anchor = key;
    if (event.ctrlKey || event.metaKey) {
      this._model.toggle(key);
    } else {
      this._model.select([key]);
    }
  };

  private readonly _onKey = (event: KeyboardEvent): void => {
    const rows = this._model.shown;
    const at = rows.findIndex(row => row.key === this._active);
    const page = Math.max(1, Math.floor(this.node.clientHeight / ROW_HEIGHT) - 1);
    const moves: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at < 0 ? 0 : at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: rows.length - 1
    };
    const to = moves[event.key];
    if (to !== undefined) {
      this._moveTo(Math.min(rows.length - 1, Math.max(0, to)), event.shiftKey);
    } else if (event.key === ' ' && at >= 0) {
      this._model.toggle(this._active);
    } else if (event.key === 'Enter' && at >= 0) {
      this._model.select([this._active]);
      this._onOpen();
    } else {
      return;
    }
    event.preventDefault();
  };

  private _moveTo(place: number, isExtending: boolean): void {
    const row = this._model.shown[place];
    if (row === undefined) {
      return;
    }
    this._active = row.key;
    const top = place * ROW_HEIGHT;
    if (top < this.node.scrollTop) {
      this.node.scrollTop = top;
    } else if (top + ROW_HEIGHT > this.node.scrollTop + this.node.clientHeight) {
      this.node.scrollTop = top + ROW_HEIGHT - this.node.clientHeight;
    }
    if (!isExtending || this._anchor === '') {
      this._anchor = row.key;
    }
    this._model.select(this._between(this._anchor, row.key));
  }

  private _between(one: string, other: string): string[] {
    const keys = this._model.shown.map(row => row.key);
    const places = [keys.indexOf(one), keys.indexOf(other)].sort((a, b) => a - b);
    return keys.slice(Math.max(0, places[0] ?? 0), (places[1] ?? 0) + 1);
  }
}
