/**
 * How the charts are looked at: along steps or epochs, smoothed or not. Nothing of it is saved.
 */
import type { ISeries, ISnapshot, Value } from '../../protocol/types.js';
import { element, setText } from '../dom.js';

/** Fewer points than this are never smoothed: there is nothing to smooth in ten epochs of validation. */
const LEAST_POINTS = 30;

/** Some steps of a run, both ends included. */
export interface IWindow {
  first: number;
  last: number;
}

/** A way to look at the charts. */
export interface IView {
  /** 0 for the values as they are, towards 1 for ever slower averages. */
  smoothing: number;
  /** How many steps one unit of the horizontal axis is: 1, or the steps of an epoch. */
  stepsPerUnit: number;
  /** The steps shown; null for all. */
  window: IWindow | null;
}

/** The view a panel starts with. */
export const PLAIN_VIEW: IView = { smoothing: 0, stepsPerUnit: 1, window: null };

/** The line below the charts that changes the view. */
export class ViewBar {
  readonly node = element('div', 'jt-ViewBar');
  private readonly _axis = element('button', 'jt-ScaleButton');
  private readonly _slider = element('input', 'jt-Slider');
  private _stepsPerEpoch = 0;
  private _isByEpoch = false;

  /**
   * @param zoom - Stands before the rest while charts are zoomed.
   * @param _onChange - Told what was chosen.
   */
  constructor(
    zoom: HTMLElement,
    private readonly _onChange: (view: Pick<IView, 'smoothing' | 'stepsPerUnit'>) => void
  ) {
    const label = element('label', 'jt-Label', 'smoothing ');
    this._slider.type = 'range';
    this._slider.min = '0';
    this._slider.max = '0.98';
    this._slider.step = '0.01';
    this._slider.value = '0';
    this._slider.addEventListener('input', this._changed);
    label.append(this._slider);
    this._axis.type = 'button';
    this._axis.addEventListener('click', this._onAxis);
    this.node.append(zoom, label, this._axis);
    this._showAxis();
  }

  /** Learns how long an epoch is; without that there is no epoch axis. */
  update(snapshot: ISnapshot): void {
    const { steps, epochs } = snapshot.progress;
    const found = steps !== null && epochs !== null && epochs > 0 ? steps / epochs : 0;
    if (found !== this._stepsPerEpoch) {
      this._stepsPerEpoch = found;
      this._showAxis();
      this._changed();
    }
  }

  private readonly _onAxis = (): void => {
    this._isByEpoch = !this._isByEpoch;
    this._showAxis();
    this._changed();
  };

  private _showAxis(): void {
    this._axis.hidden = this._stepsPerEpoch <= 0;
    setText(this._axis, this._isByEpoch ? 'per epoch' : 'per step');
    this._axis.title = `show along ${this._isByEpoch ? 'steps' : 'epochs'}`;
  }

  private readonly _changed = (): void => {
    const isByEpoch = this._isByEpoch && this._stepsPerEpoch > 0;
    this._onChange({
      smoothing: Number(this._slider.value),
      stepsPerUnit: isByEpoch ? this._stepsPerEpoch : 1
    });
  };
}

/**
 * A series as a view shows it: an exponential moving average of its values, debiased at the start.
 *
 * The least and greatest values stay what they were, so that the band tells what was smoothed away.
 */
export function viewed(one: ISeries, view: IView): ISeries {
  const isSmoothed = view.smoothing > 0 && one.values.length >= LEAST_POINTS;
  const steps =
    view.stepsPerUnit === 1 ? one.steps : one.steps.map(step => step / view.stepsPerUnit);
  return { ...one, steps, values: isSmoothed ? averaged(one.values, view.smoothing) : one.values };
}

function averaged(values: Value[], smoothing: number): Value[] {
  let sum = 0;
  let weight = 0;
  return values.map(value => {
    if (value === null) {
      return null;
    }
    sum = smoothing * sum + (1 - smoothing) * value;
    weight = smoothing * weight + (1 - smoothing);
    return sum / weight;
  });
}
