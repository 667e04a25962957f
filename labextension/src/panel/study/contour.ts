/**
 * The objective over two parameters: its level everywhere between the trials, and the trials as dots.
 */
import type { IParam, IStudy } from '../../protocol/types.js';
import { element } from '../dom.js';
import { said } from './outliers.js';
import {
  Figure,
  beside,
  drawBottomAxis,
  drawLeftAxis,
  scaleOf,
  svg,
  told,
  type Draw
} from './chartFrame.js';
import { drawDots, objective, ranking, type Chosen } from './plots.js';

const LEVELS = 7;
const COLUMNS = 96;
const ROWS = 48;
const MOST_OPACITY = 0.4;
/** How far a trial's value reaches, as a share of the picture's width and height. */
const REACH = 0.11;
/** Farther from all trials than this weight, nothing is claimed. */
const LEAST_WEIGHT = 0.04;
const FEWEST_TRIALS = 6;

/** A picture of two parameters at a time, which can be chosen. */
export class Contour {
  readonly figure: Figure;
  private readonly _axes = element('span', 'jt-Axes');
  private readonly _across = chooser('parameter across');
  private readonly _up = chooser('parameter upwards');
  private _study: IStudy | null = null;
  private _chosen: Chosen = -1;
  private _names = '';

  constructor() {
    this._axes.append(this._across, ' × ', this._up);
    this.figure = new Figure(220, this._axes);
    for (const select of [this._across, this._up]) {
      select.addEventListener('change', () => this._draw());
    }
  }

  /**
   * Shows a study; hidden where it has fewer than two parameters, or a handful of trials.
   *
   * @param weighed - Its parameters, the most important first.
   */
  update(study: IStudy, weighed: readonly IParam[], chosen: Chosen): void {
    this._study = study;
    this._chosen = chosen;
    const names = study.params.map(({ name }) => name);
    if (this._names !== names.join()) {
      this._names = names.join();
      this._across.replaceChildren(...names.map(optionOf));
      this._up.replaceChildren(...names.map(optionOf));
    }
    if (!this._isChosenByHand()) {
      this._across.value = weighed[0]?.name ?? '';
      this._up.value = weighed[1]?.name ?? '';
    }
    this._axes.hidden = names.length < 3;
    this._draw(true);
  }

  private _isChosenByHand(): boolean {
    return this._axes.dataset.chosen === 'yes';
  }

  private _draw(isNews = false): void {
    const study = this._study;
    if (study === null) {
      return;
    }
    if (!isNews) {
      this._axes.dataset.chosen = 'yes';
    }
    const [x, y] = [this._across, this._up].map(select =>
      study.params.find(({ name }) => name === select.value)
    );
    const metric = study.objectives[0]?.metric ?? '';
    const isDrawn =
      x !== undefined && y !== undefined && x !== y && ranking(study).length >= FEWEST_TRIALS;
    const title = x !== undefined && y !== undefined ? `${metric} by ${x.name} and ${y.name}` : '';
    const draw = isDrawn ? contour(study, x, y, this._chosen) : null;
    this.figure.update(title, draw, said(objective(study), 'coloured as that'));
    if (x !== undefined && x === y) {
      this.figure.update(`${metric}: choose two parameters`, canvas =>
        canvas.setAttribute('height', '0')
      );
    }
  }
}

function contour(study: IStudy, across: IParam, upwards: IParam, chosen: Chosen): Draw {
  return (canvas, frame) => {
    const y = scaleOf(upwards.values, frame.bottom, frame.top, upwards.isLog, upwards.labels);
    const box = beside(frame, y);
    const x = scaleOf(across.values, box.left, box.right, across.isLog, across.labels);
    const width = box.right - box.left;
    const height = box.bottom - box.top;
    const levels = levelsOf(study, ranking(study), place => {
      const [a, b] = [across.values[place] ?? null, upwards.values[place] ?? null];
      return a === null || b === null
        ? null
        : [(x(a) - box.left) / width, (y(b) - box.top) / height];
    });
    levels.forEach((row, at) => {
      for (const { from, to, level } of runsOf(row)) {
        canvas.append(
          svg('rect', {
            ...between(
              'x',
              'width',
              box.left + (from / COLUMNS) * width,
              box.left + (to / COLUMNS) * width
            ),
            ...between(
              'y',
              'height',
              box.top + (at / ROWS) * height,
              box.top + ((at + 1) / ROWS) * height
            ),
            class: 'jt-Level',
            'fill-opacity': (0.03 + (MOST_OPACITY * level) / (LEVELS - 1)).toFixed(2)
          })
        );
      }
    });
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    drawDots(canvas, study, across.values, upwards.values, x, y, chosen);
    told(canvas, 'darker is better; between the trials it is what those nearby reached');
  };
}

/** The level of each cell of the picture, the best the highest; null where no trial is near. */
function levelsOf(
  study: IStudy,
  places: readonly number[],
  at: (place: number) => [number, number] | null
): (number | null)[][] {
  const { values } = objective(study);
  const points = places.flatMap(place => {
    const [where, value] = [at(place), values[place] ?? null];
    return where === null || value === null ? [] : [{ where, value }];
  });
  const known = points.map(({ value }) => value);
  const low = known.reduce((a, b) => Math.min(a, b), Infinity);
  const high = known.reduce((a, b) => Math.max(a, b), -Infinity);
  const isMin = study.objectives[0]?.mode === 'min';
  const cell = (column: number, row: number): number | null => {
    let [weights, total, nearest] = [0, 0, 0];
    for (const { where, value } of points) {
      const across = (where[0] - (column + 0.5) / COLUMNS) / REACH;
      const up = (where[1] - (row + 0.5) / ROWS) / REACH;
      const weight = Math.exp(-0.5 * (across * across + up * up));
      weights += weight;
      total += weight * value;
      nearest = Math.max(nearest, weight);
    }
    if (nearest < LEAST_WEIGHT) {
      return null;
    }
    const share = high > low ? (total / weights - low) / (high - low) : 1;
    return Math.min(LEVELS - 1, Math.floor((isMin ? 1 - share : share) * LEVELS));
  };
  return Array.from({ length: ROWS }, (_, row) =>
    Array.from({ length: COLUMNS }, (_unused, column) => cell(column, row))
  );
}

/** A side of a cell in whole pixels, so that neighbours neither overlap nor leave a line between them. */
function between(from: string, size: string, low: number, high: number): Record<string, number> {
  return { [from]: Math.round(low), [size]: Math.round(high) - Math.round(low) };
}

/** Neighbours of one level as one piece. */
function runsOf(row: readonly (number | null)[]): { from: number; to: number; level: number }[] {
  const found: { from: number; to: number; level: number }[] = [];
  row.forEach((level, at) => {
    const last = found[found.length - 1];
    if (level === null) {
      return;
    }
    if (last?.level === level && last.to === at) {
      last.to = at + 1;
    } else {
      found.push({ from: at, to: at + 1, level });
    }
  });
  return found;
}

function chooser(label: string): HTMLSelectElement {
  const made = element('select', '');
  made.setAttribute('aria-label', label);
  return made;
}

function optionOf(name: string): HTMLOptionElement {
  const made = element('option', '', name);
  made.value = name;
  return made;
}
