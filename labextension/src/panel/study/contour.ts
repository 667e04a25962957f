/**
 * The contour plot of a study: the objective over two parameters, interpolated, and the trials as dots.
 */
import type { IParam, IStudy } from '../../protocol/types.js';
import { element } from '../dom.js';
import { outlierNote } from './outliers.js';
import {
  ChartFrame,
  withLabelRoom,
  drawBottomAxis,
  drawLeftAxis,
  createScale,
  svg,
  withTooltip,
  type Draw
} from './chartFrame.js';
import { drawDots } from './plots.js';
import { modeOf, objectiveValues, ranking, type SelectedTrial } from './trials.js';

const LEVELS = 7;
const COLUMNS = 96;
const ROWS = 48;
const MAX_OPACITY = 0.4;
/** The bandwidth of the interpolation, as a fraction of the chart's width and height. */
const BANDWIDTH = 0.11;
/** A cell with less weight from every trial is left empty. */
const MIN_WEIGHT = 0.04;
const MIN_TRIALS = 6;

/** A contour plot with a choice of two parameters. */
export class Contour {
  readonly frame: ChartFrame;
  private readonly _axes = element('span', 'jt-Axes');
  private readonly _across = paramSelect('parameter across');
  private readonly _up = paramSelect('parameter upwards');
  private _study: IStudy | null = null;
  private _selected: SelectedTrial = -1;
  private _names = '';

  constructor() {
    this._axes.append(this._across, ' × ', this._up);
    this.frame = new ChartFrame(220, this._axes);
    for (const select of [this._across, this._up]) {
      select.addEventListener('change', () => this._draw());
    }
  }

  /**
   * Shows a study; hidden where it has fewer than two parameters, or a handful of trials.
   *
   * @param params - Its parameters, the most important first.
   */
  update(study: IStudy, params: readonly IParam[], selected: SelectedTrial): void {
    this._study = study;
    this._selected = selected;
    const names = study.params.map(({ name }) => name);
    if (this._names !== names.join()) {
      this._names = names.join();
      this._across.replaceChildren(...names.map(optionOf));
      this._up.replaceChildren(...names.map(optionOf));
    }
    if (!this._isManual()) {
      this._across.value = params[0]?.name ?? '';
      this._up.value = params[1]?.name ?? '';
    }
    this._axes.hidden = names.length < 3;
    this._draw(true);
  }

  private _isManual(): boolean {
    return this._axes.dataset.chosen === 'yes';
  }

  private _draw(isUpdate = false): void {
    const study = this._study;
    if (study === null) {
      return;
    }
    if (!isUpdate) {
      this._axes.dataset.chosen = 'yes';
    }
    const [x, y] = [this._across, this._up].map(select =>
      study.params.find(({ name }) => name === select.value)
    );
    const metric = study.objectives[0]?.metric ?? '';
    const isDrawn =
      x !== undefined && y !== undefined && x !== y && ranking(study).length >= MIN_TRIALS;
    const title = x !== undefined && y !== undefined ? `${metric} by ${x.name} and ${y.name}` : '';
    const draw = isDrawn ? drawContour(study, x, y, this._selected) : null;
    this.frame.update(title, draw, outlierNote(objectiveValues(study), 'coloured as that'));
    if (x !== undefined && x === y) {
      this.frame.update(`${metric}: choose two parameters`, canvas =>
        canvas.setAttribute('height', '0')
      );
    }
  }
}

function drawContour(
  study: IStudy,
  across: IParam,
  upwards: IParam,
  selected: SelectedTrial
): Draw {
  return (canvas, area) => {
    const y = createScale(upwards.values, area.bottom, area.top, upwards.isLog, upwards.labels);
    const box = withLabelRoom(area, y);
    const x = createScale(across.values, box.left, box.right, across.isLog, across.labels);
    const width = box.right - box.left;
    const height = box.bottom - box.top;
    const levels = cellLevels(study, ranking(study), index => {
      const [a, b] = [across.values[index] ?? null, upwards.values[index] ?? null];
      return a === null || b === null
        ? null
        : [(x(a) - box.left) / width, (y(b) - box.top) / height];
    });
    levels.forEach((row, index) => {
      for (const { from, to, level } of mergeLevels(row)) {
        canvas.append(
          svg('rect', {
            ...pixelSide(
              'x',
              'width',
              box.left + (from / COLUMNS) * width,
              box.left + (to / COLUMNS) * width
            ),
            ...pixelSide(
              'y',
              'height',
              box.top + (index / ROWS) * height,
              box.top + ((index + 1) / ROWS) * height
            ),
            class: 'jt-Level',
            'fill-opacity': (0.03 + (MAX_OPACITY * level) / (LEVELS - 1)).toFixed(2)
          })
        );
      }
    });
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    drawDots(canvas, study, across.values, upwards.values, x, y, selected);
    withTooltip(canvas, 'darker is better; between the trials it is what those nearby reached');
  };
}

/** Returns the level of each cell, the best the highest; null where no trial is near. */
function cellLevels(
  study: IStudy,
  indexes: readonly number[],
  position: (index: number) => [number, number] | null
): (number | null)[][] {
  const { values } = objectiveValues(study);
  const points = indexes.flatMap(index => {
    const [where, value] = [position(index), values[index] ?? null];
    return where === null || value === null ? [] : [{ where, value }];
  });
  const known = points.map(({ value }) => value);
  const low = known.reduce((a, b) => Math.min(a, b), Infinity);
  const high = known.reduce((a, b) => Math.max(a, b), -Infinity);
  const isMin = modeOf(study) === 'min';
  const cell = (column: number, row: number): number | null => {
    let [weights, total, nearest] = [0, 0, 0];
    for (const { where, value } of points) {
      const across = (where[0] - (column + 0.5) / COLUMNS) / BANDWIDTH;
      const up = (where[1] - (row + 0.5) / ROWS) / BANDWIDTH;
      const weight = Math.exp(-0.5 * (across * across + up * up));
      weights += weight;
      total += weight * value;
      nearest = Math.max(nearest, weight);
    }
    if (nearest < MIN_WEIGHT) {
      return null;
    }
    const share = high > low ? (total / weights - low) / (high - low) : 1;
    return Math.min(LEVELS - 1, Math.floor((isMin ? 1 - share : share) * LEVELS));
  };
  return Array.from({ length: ROWS }, (_, row) =>
    Array.from({ length: COLUMNS }, (_unused, column) => cell(column, row))
  );
}

/** Returns a side of a cell in whole pixels, so that neighbours neither overlap nor leave a gap. */
function pixelSide(from: string, size: string, low: number, high: number): Record<string, number> {
  return { [from]: Math.round(low), [size]: Math.round(high) - Math.round(low) };
}

/** Merges neighbours of the same level. */
function mergeLevels(
  row: readonly (number | null)[]
): { from: number; to: number; level: number }[] {
  const merged: { from: number; to: number; level: number }[] = [];
  row.forEach((level, column) => {
    const last = merged[merged.length - 1];
    if (level === null) {
      return;
    }
    if (last?.level === level && last.to === column) {
      last.to = column + 1;
    } else {
      merged.push({ from: column, to: column + 1, level });
    }
  });
  return merged;
}

function paramSelect(label: string): HTMLSelectElement {
  const node = element('select', '');
  node.setAttribute('aria-label', label);
  return node;
}

function optionOf(name: string): HTMLOptionElement {
  const node = element('option', '', name);
  node.value = name;
  return node;
}
