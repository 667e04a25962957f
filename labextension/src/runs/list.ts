/**
 * The list of runs: only the visible lines exist, so that ten thousand runs scroll like ten.
 */
import { element } from '../panel/dom.js';
import type { RunsModel } from './model.js';
import { ROW_HEIGHT, RunLine } from './runLine.js';

/** Lines above and below the visible ones. */
const OVERSCAN = 4;

/** A list box over the runs of a model: click, ctrl-click, shift-click, arrow keys, space. */
export class RunList {
  readonly node = element('div', 'jt-RunList');
  private readonly _spacer = element('div', 'jt-RunRoom');
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
    this.node.append(this._spacer);
    this.node.addEventListener('scroll', this._drawLater);
    this.node.addEventListener('click', this._onClick);
    this.node.addEventListener('dblclick', this._onOpen);
    this.node.addEventListener('keydown', this._onKey);
    this._resize = new ResizeObserver(this._drawLater);
    this._resize.observe(this.node);
    this._model.changed.connect(this._drawLater);
  }

  /** Releases the listeners. */
  dispose(): void {
    cancelAnimationFrame(this._frame);
    this._resize.disconnect();
    this._model.changed.disconnect(this._drawLater);
  }

  private readonly _drawLater = (): void => {
    cancelAnimationFrame(this._frame);
    this._frame = requestAnimationFrame(() => this._draw());
  };

  private _draw(): void {
    const rows = this._model.visible;
    this._spacer.style.height = `${rows.length * ROW_HEIGHT}px`;
    const first = Math.max(0, Math.floor(this.node.scrollTop / ROW_HEIGHT) - OVERSCAN);
    const count = Math.ceil(this.node.clientHeight / ROW_HEIGHT) + 2 * OVERSCAN;
    const visible = rows.slice(first, first + count);
    while (this._lines.length < visible.length) {
      const line = new RunLine();
      this._lines.push(line);
      this._spacer.append(line.node);
    }
    this._lines.forEach((line, index) => {
      const row = visible[index];
      line.node.hidden = row === undefined;
      if (row !== undefined) {
        const isSelected = this._model.isSelected(row.key);
        line.show(row, first + index, rows.length, isSelected, row.key === this._active);
      }
    });
    const isActiveVisible = visible.some(row => row.key === this._active);
    if (isActiveVisible) {
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
    const rows = this._model.visible;
    const active = rows.findIndex(row => row.key === this._active);
    const page = Math.max(1, Math.floor(this.node.clientHeight / ROW_HEIGHT) - 1);
    const moves: Record<string, number> = {
      ArrowDown: active + 1,
      ArrowUp: active < 0 ? 0 : active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: rows.length - 1
    };
    const target = moves[event.key];
    if (target !== undefined) {
      this._moveTo(Math.min(rows.length - 1, Math.max(0, target)), event.shiftKey);
    } else if (event.key === ' ' && active >= 0) {
      this._model.toggle(this._active);
    } else if (event.key === 'Enter' && active >= 0) {
      this._model.select([this._active]);
      this._onOpen();
    } else {
      return;
    }
    event.preventDefault();
  };

  private _moveTo(index: number, isExtending: boolean): void {
    const row = this._model.visible[index];
    if (row === undefined) {
      return;
    }
    this._active = row.key;
    const top = index * ROW_HEIGHT;
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

  private _between(first: string, last: string): string[] {
    const keys = this._model.visible.map(row => row.key);
    const indexes = [keys.indexOf(first), keys.indexOf(last)].sort((a, b) => a - b);
    return keys.slice(Math.max(0, indexes[0] ?? 0), (indexes[1] ?? 0) + 1);
  }
}
