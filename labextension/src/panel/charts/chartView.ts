/**
 * How the charts are viewed: along steps or epochs, smoothed or not. Nothing of it is saved.
 */
import type { ISnapshot } from '../../protocol/types.js';
import { element, setText } from '../dom.js';

/** A window of steps, both ends included. */
export interface IStepWindow {
  first: number;
  last: number;
}

/** A view of the charts. */
export interface IChartView {
  /** 0 for the values as they are, towards 1 for slower averages. */
  smoothing: number;
  /** How many steps one unit of the horizontal axis is: 1, or the steps of an epoch. */
  stepsPerUnit: number;
  /** The steps shown; null for all. */
  window: IStepWindow | null;
}

/** The view that a panel starts with. */
export const DEFAULT_VIEW: IChartView = { smoothing: 0, stepsPerUnit: 1, window: null };

/** The controls below the charts that change the view. */
export class ChartViewBar {
  readonly node = element('div', 'jt-ViewBar');
  private readonly _axis = element('button', 'jt-ScaleButton');
  private readonly _slider = element('input', 'jt-Slider');
  private _stepsPerEpoch = 0;
  private _isByEpoch = false;

  /**
   * @param zoom - The controls of the zoom, placed first.
   * @param _onChange - Called with what was chosen.
   */
  constructor(
    zoom: HTMLElement,
    private readonly _onChange: (view: Pick<IChartView, 'smoothing' | 'stepsPerUnit'>) => void
  ) {
    const label = element('label', 'jt-Label', 'smoothing ');
    this._slider.type = 'range';
    this._slider.min = '0';
    this._slider.max = '0.98';
    this._slider.step = '0.01';
    this._slider.value = '0';
    this._slider.addEventListener('input', this._onInput);
    label.append(this._slider);
    this._axis.type = 'button';
    this._axis.addEventListener('click', this._onAxisClick);
    this.node.append(zoom, label, this._axis);
    this._updateAxis();
  }

  /** Updates the length of an epoch; while it is not known there is no epoch axis. */
  update(snapshot: ISnapshot): void {
    const { steps, epochs } = snapshot.progress;
    const stepsPerEpoch = steps !== null && epochs !== null && epochs > 0 ? steps / epochs : 0;
    if (stepsPerEpoch !== this._stepsPerEpoch) {
      this._stepsPerEpoch = stepsPerEpoch;
      this._updateAxis();
      this._onInput();
    }
  }

  private readonly _onAxisClick = (): void => {
    this._isByEpoch = !this._isByEpoch;
    this._updateAxis();
    this._onInput();
  };

  private _updateAxis(): void {
    this._axis.hidden = this._stepsPerEpoch <= 0;
    setText(this._axis, this._isByEpoch ? 'per epoch' : 'per step');
    this._axis.title = `show along ${this._isByEpoch ? 'steps' : 'epochs'}`;
  }

  private readonly _onInput = (): void => {
    const isByEpoch = this._isByEpoch && this._stepsPerEpoch > 0;
    this._onChange({
      smoothing: Number(this._slider.value),
      stepsPerUnit: isByEpoch ? this._stepsPerEpoch : 1
    });
  };
}
