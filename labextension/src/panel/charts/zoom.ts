/**
 * Which steps the charts show: all of them, or a window, drawn as closely as the store knows it.
 */
import type { IMetricGroup } from '../../protocol/types.js';
import { element, setText } from '../dom.js';
import { stepText } from './series.js';
import type { IWindow } from './chartView.js';

/** A window that is still being moved is not asked for. */
const SETTLED_MS = 120;
/** A window at the end of a live run is asked for again, but not more often than this. */
const AGAIN_MS = 2_000;
/** How much of a window `‹` and `›` move it by. */
const PAN = 0.5;

/** Gives the curves between two steps; null when nobody knows them. */
export type Ask = (window: IWindow) => Promise<IMetricGroup[] | null>;

/** What a chart tells when somebody drags, scrolls or double-clicks in it. */
export interface IZoomed {
  set(window: IWindow | null): void;
  pan(fraction: number): void;
}

/** The window of a panel's charts, and the line that tells it. */
export class Zoom implements IZoomed {
  readonly node = element('span', 'jt-Zoom');
  private readonly _text = element('span', 'jt-ZoomText');
  private _window: IWindow | null = null;
  private _metricGroups = new Map<string, IMetricGroup>();
  private _end = 0;
  private _isCoarse = false;
  private _timer: number | null = null;
  private _asked = 0;
  private _knownUntil = 0;

  constructor(
    private readonly _ask: Ask,
    private readonly _onChange: () => void
  ) {
    this.node.append(
      this._button('‹', 'earlier steps', () => this.pan(-PAN)),
      this._text,
      this._button('›', 'later steps', () => this.pan(PAN)),
      this._button('show all', 'show all steps', () => this.set(null))
    );
    this.node.hidden = true;
  }

  /** The steps shown; null for all. */
  get window(): IWindow | null {
    return this._window;
  }

  /** The closest a group is known inside the window; its newest values are those of the group as it is now. */
  closest(group: IMetricGroup): IMetricGroup {
    const known = this._window === null ? undefined : this._metricGroups.get(group.name);
    if (known === undefined) {
      return group;
    }
    const now = new Map(group.series.map(one => [one.name, one]));
    const series = known.series.map(one => ({ ...one, last: now.get(one.name)?.last ?? one.last }));
    return { ...known, series };
  }

  /** Shows these steps, or all. */
  set(window: IWindow | null): void {
    this._window = window === null ? null : tidy(window, this._end);
    this._show();
    this._askWhenSettled(SETTLED_MS);
    this._onChange();
  }

  /** Moves the window by a part of its width, as far as there are steps. */
  pan(fraction: number): void {
    if (this._window === null) {
      return;
    }
    const { first, last } = this._window;
    const wanted = Math.round(fraction * (last - first)) || Math.sign(fraction);
    const by = Math.max(-first, Math.min(wanted, Math.max(0, this._end - last)));
    if (by !== 0) {
      this.set({ first: first + by, last: last + by });
    }
  }

  /** Learns how far the run is, and whether a point stands for several. */
  update(metricGroups: IMetricGroup[], isLive: boolean): void {
    const series = metricGroups.flatMap(group => group.series);
    this._end = Math.max(0, ...series.map(one => one.steps[one.steps.length - 1] ?? 0));
    this._isCoarse = series.some(one => one.lows.length > 0);
    const isOpen = this._window !== null && this._window.last > this._knownUntil;
    if (isOpen && isLive && this._knownUntil < this._end) {
      this._askWhenSettled(AGAIN_MS);
    }
  }

  /** Asks nobody any more. */
  dispose(): void {
    this._forget();
  }

  private _button(label: string, title: string, act: () => void): HTMLElement {
    const button = element('button', 'jt-ScaleButton', label);
    button.type = 'button';
    button.title = title;
    button.setAttribute('aria-label', title);
    button.addEventListener('click', act);
    return button;
  }

  private _show(): void {
    this.node.hidden = this._window === null;
    if (this._window !== null) {
      const { first, last } = this._window;
      setText(this._text, `steps ${stepText(first)} – ${stepText(last)}`);
    }
  }

  private _askWhenSettled(after: number): void {
    if (this._window === null) {
      this._forget();
      this._metricGroups.clear();
      this._knownUntil = 0;
      return;
    }
    if (after === SETTLED_MS) {
      this._forget();
    }
    if (this._isCoarse) {
      this._timer ??= window.setTimeout(() => void this._askNow(), after);
    }
  }

  private _forget(): void {
    this._asked++;
    if (this._timer !== null) {
      window.clearTimeout(this._timer);
      this._timer = null;
    }
  }

  private async _askNow(): Promise<void> {
    this._timer = null;
    const [wanted, asked, end] = [this._window, ++this._asked, this._end];
    const found = wanted === null ? null : await this._ask(wanted);
    if (found === null || asked !== this._asked) {
      return; // nobody knows it, or something else is wanted by now
    }
    this._metricGroups = new Map(found.map(group => [group.name, group]));
    this._knownUntil = end;
    this._onChange();
  }
}

/** Whole steps inside the run, at least two of them. */
function tidy(asked: IWindow, end: number): IWindow {
  const first = Math.max(0, Math.min(Math.floor(asked.first), end - 1));
  return { first, last: Math.max(first + 1, Math.min(Math.ceil(asked.last), end)) };
}
