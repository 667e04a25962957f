/**
 * One line of the list: built once, filled again for another run while somebody scrolls.
 */
import { element, setText } from '../panel/dom';
import { durationText, ofText, sizeText, valueText } from '../panel/words';
import { isLive } from '../protocol';
import type { IRunRow } from '../rows';

/** Pixels; the list counts on it. */
export const ROW_HEIGHT = 46;

const SVG = 'http://www.w3.org/2000/svg';
const [TRAIL_WIDTH, TRAIL_HEIGHT] = [44, 16];

/** A run as an option of a list box. */
export class RunLine {
  readonly node = element('div', 'jt-Run');
  private readonly _ref = element('span', 'jt-RunRef');
  private readonly _metric = element('span', 'jt-RunMetric');
  private readonly _best = element('b', 'jt-RunBest');
  private readonly _status = element('span', 'jt-RunStatus');
  private readonly _trail = document.createElementNS(SVG, 'polyline');
  private readonly _numbers = element('span', 'jt-RunNumbers');

  constructor() {
    this.node.setAttribute('role', 'option');
    const top = element('div', 'jt-RunTop');
    top.append(element('i', 'jt-Dot'), this._ref, this._metric, this._best);
    const drawing = document.createElementNS(SVG, 'svg');
    drawing.setAttribute('class', 'jt-RunTrail');
    drawing.setAttribute('viewBox', `0 0 ${TRAIL_WIDTH} ${TRAIL_HEIGHT}`);
    drawing.setAttribute('aria-hidden', 'true');
    drawing.append(this._trail);
    const below = element('div', 'jt-RunBelow');
    below.append(this._status, this._numbers, drawing);
    this.node.append(top, below);
  }

  /** Shows a run. */
  show(row: IRunRow, place: number, total: number, isSelected: boolean, isActive: boolean): void {
    this.node.id = `jt-run-${row.key}`;
    this.node.dataset.key = row.key;
    this.node.dataset.status = row.status;
    this.node.style.transform = `translateY(${place * ROW_HEIGHT}px)`;
    this.node.setAttribute('aria-posinset', String(place + 1));
    this.node.setAttribute('aria-setsize', String(total));
    this.node.setAttribute('aria-selected', String(isSelected));
    this.node.classList.toggle('jt-mod-active', isActive);
    this.node.title = [row.ref, row.notebook, row.tags.join(', ')].filter(Boolean).join('\n');
    setText(this._ref, row.ref);
    setText(this._metric, row.best === null ? '' : row.metric);
    setText(this._best, row.best === null ? '' : valueText(row.best));
    setText(this._status, statusOf(row));
    setText(
      this._numbers,
      [durationText(row.durationSeconds), sizeText(row.sizeBytes)]
        .filter(text => text !== '–')
        .join(' · ')
    );
    this._trail.setAttribute('points', pointsOf(row.trail));
  }
}

function statusOf(row: IRunRow): string {
  return isLive(row.status) && row.epoch !== null
    ? `${row.status}, epoch ${ofText(row.epoch, row.epochs)}`
    : row.status;
}

/** A curve of a few points, as wide and as high as there is room. */
function pointsOf(trail: number[]): string {
  if (trail.length < 2) {
    return '';
  }
  const [low, high] = [Math.min(...trail), Math.max(...trail)];
  const across = TRAIL_WIDTH / (trail.length - 1);
  const up = (TRAIL_HEIGHT - 2) / (high - low || 1);
  return trail
    .map((value, at) => `${(at * across).toFixed(1)},${(1 + (high - value) * up).toFixed(1)}`)
    .join(' ');
}
