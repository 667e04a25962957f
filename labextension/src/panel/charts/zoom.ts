/**
 * The steps that the charts show: all of them, or a window, at the resolution of the store.
 */
import type { IMetricGroup } from '../../protocol/types.js';
import { element, setText } from '../dom.js';
import { stepText } from '../format.js';
import type { IStepWindow } from './chartView.js';

/** A window that is still being moved is not fetched. */
const DEBOUNCE_MS = 120;
/** The least time between two fetches of a window at the end of a live run. */
const REFETCH_INTERVAL_MS = 2_000;
/** The fraction of a window that `‹` and `›` move it by. */
const PAN_FRACTION = 0.5;

/** Fetches the curves inside a window; null where they are not available. */
export type FetchWindow = (window: IStepWindow) => Promise<IMetricGroup[] | null>;

/** Receives the zoom that is chosen by dragging, scrolling or double-clicking in a chart. */
export interface IZoomTarget {
  set(window: IStepWindow | null): void;
  pan(fraction: number): void;
}

/** The window of a panel's charts, and its controls. */
export class Zoom implements IZoomTarget {
  readonly node = element('span', 'jt-Zoom');
  private readonly _text = element('span', 'jt-ZoomText');
  private _window: IStepWindow | null = null;
  private _fetched = new Map<string, IMetricGroup>();
  private _end = 0;
  private _isCoarse = false;
  private _timer: number | null = null;
  private _requests = 0;
  private _fetchedUntil = 0;

  constructor(
    private readonly _fetch: FetchWindow,
    private readonly _onChange: () => void
  ) {
    this.node.append(
      this._button('‹', 'earlier steps', () => this.pan(-PAN_FRACTION)),
      this._text,
      this._button('›', 'later steps', () => this.pan(PAN_FRACTION)),
      this._button('show all', 'show all steps', () => this.set(null))
    );
    this.node.hidden = true;
  }

  /** The steps shown; null for all. */
  get window(): IStepWindow | null {
    return this._window;
  }

  /** Returns a group at the highest known resolution inside the window, with its newest values as they are now. */
  detailed(group: IMetricGroup): IMetricGroup {
    const fetched = this._window === null ? undefined : this._fetched.get(group.name);
    if (fetched === undefined) {
      return group;
    }
    return withNewestValues(fetched, group);
  }

  /** Shows a window of steps, or all. */
  set(window: IStepWindow | null): void {
    this._window = window === null ? null : clampWindow(window, this._end);
    this._updateText();
    this._fetchLater(DEBOUNCE_MS);
    this._onChange();
  }

  /** Moves the window by a part of its width, as far as there are steps. */
  pan(fraction: number): void {
    if (this._window === null) {
      return;
    }
    const { first, last } = this._window;
    const distance = Math.round(fraction * (last - first)) || Math.sign(fraction);
    const by = Math.max(-first, Math.min(distance, Math.max(0, this._end - last)));
    if (by !== 0) {
      this.set({ first: first + by, last: last + by });
    }
  }

  /** Updates how far the run is, and whether a point stands for several values. */
  update(groups: IMetricGroup[], isLive: boolean): void {
    const series = groups.flatMap(group => group.series);
    this._end = Math.max(0, ...series.map(({ steps }) => steps[steps.length - 1] ?? 0));
    this._isCoarse = series.some(({ lows }) => lows.length > 0);
    const isOpen = this._window !== null && this._window.last > this._fetchedUntil;
    if (isOpen && isLive && this._fetchedUntil < this._end) {
      this._fetchLater(REFETCH_INTERVAL_MS);
    }
  }

  /** Cancels a pending fetch. */
  dispose(): void {
    this._cancel();
  }

  private _button(label: string, title: string, act: () => void): HTMLElement {
    const button = element('button', 'jt-ScaleButton', label);
    button.type = 'button';
    button.title = title;
    button.setAttribute('aria-label', title);
    button.addEventListener('click', act);
    return button;
  }

  private _updateText(): void {
    this.node.hidden = this._window === null;
    if (this._window !== null) {
      const { first, last } = this._window;
      setText(this._text, `steps ${stepText(first)} – ${stepText(last)}`);
    }
  }

  private _fetchLater(delay: number): void {
    if (this._window === null) {
      this._cancel();
      this._fetched.clear();
      this._fetchedUntil = 0;
      return;
    }
    if (delay === DEBOUNCE_MS) {
      this._cancel();
    }
    if (this._isCoarse) {
      this._timer ??= window.setTimeout(() => void this._fetchNow(), delay);
    }
  }

  private _cancel(): void {
    this._requests++;
    if (this._timer !== null) {
      window.clearTimeout(this._timer);
      this._timer = null;
    }
  }

  private async _fetchNow(): Promise<void> {
    this._timer = null;
    const [window, request, end] = [this._window, ++this._requests, this._end];
    const groups = window === null ? null : await this._fetch(window);
    if (groups === null || request !== this._requests) {
      return; // it is not available, or another window is shown by now
    }
    this._fetched = new Map(groups.map(group => [group.name, group]));
    this._fetchedUntil = end;
    this._onChange();
  }
}

/** Returns whole steps inside the run, at least two of them. */
export function clampWindow(window: IStepWindow, end: number): IStepWindow {
  const first = Math.max(0, Math.min(Math.floor(window.first), end - 1));
  return { first, last: Math.max(first + 1, Math.min(Math.ceil(window.last), end)) };
}

/** Returns the fetched curves of a group, with the newest values of the group as it is now. */
export function withNewestValues(fetched: IMetricGroup, group: IMetricGroup): IMetricGroup {
  const newest = new Map(group.series.map(({ name, last }) => [name, last]));
  const series = fetched.series.map(line => ({
    ...line,
    last: newest.get(line.name) ?? line.last
  }));
  return { ...fetched, series };
}
