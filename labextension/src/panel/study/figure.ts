/**
 * A small picture in SVG that is drawn anew at the width it has, with axes as the charts of a run have them.
 */
import { element, setText } from '../dom';
import { valueText } from '../words';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 190;
const LEAST_WIDTH = 200;
/** Of so many trials or more, so large a share may lie beyond the end of the axis. */
const FEWEST_TO_CUT = 10;
const WORST_SHARE = 0.2;

/** Where a picture may draw, in pixels. */
export interface IBox {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Draws into an empty SVG element of a width and height. */
export type Draw = (canvas: SVGSVGElement, box: IBox) => void;

/** A titled picture; redrawn when its width changes. */
export class Figure {
  readonly node = element('figure', 'jt-Figure');
  private readonly _title = element('span', 'jt-ChartTitle');
  private readonly _note = element('span', 'jt-FigureNote');
  private readonly _host = element('div', 'jt-FigureHost');
  private readonly _resize: ResizeObserver;
  private _draw: Draw | null = null;
  private _width = 0;

  /**
   * @param _height - Of the picture, in pixels.
   * @param beside - Stands beside its title.
   */
  constructor(
    private readonly _height = HEIGHT,
    beside: HTMLElement | null = null
  ) {
    const caption = element('figcaption', '');
    caption.append(this._title, this._note, ...(beside === null ? [] : [beside]));
    this.node.append(caption, this._host);
    this._resize = new ResizeObserver(entries => this._onWidth(entries[0]?.contentRect.width ?? 0));
    this._resize.observe(this._host);
  }

  /** Shows what `draw` draws; hidden where there is nothing. */
  update(title: string, draw: Draw | null, note = ''): void {
    setText(this._title, title);
    setText(this._note, note);
    this.node.hidden = draw === null;
    this._draw = draw;
    this._redraw();
  }

  dispose(): void {
    this._resize.disconnect();
  }

  private _onWidth(width: number): void {
    if (Math.abs(width - this._width) >= 1) {
      this._width = width;
      this._redraw();
    }
  }

  private _redraw(): void {
    if (this._draw === null || this._width === 0) {
      return;
    }
    const width = Math.max(LEAST_WIDTH, Math.floor(this._width));
    const canvas = svg('svg', {
      width,
      height: this._height,
      viewBox: `0 0 ${width} ${this._height}`,
      role: 'img',
      'aria-label': this._title.textContent ?? ''
    });
    this._draw(canvas, { left: 44, top: 8, right: width - 10, bottom: this._height - 22 });
    this._host.replaceChildren(canvas);
  }
}

/** A new SVG element. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number>,
  text = ''
): SVGElementTagNameMap[K] {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, String(value));
  }
  made.textContent = text;
  return made;
}

/** Says in words what a mark stands for, when the pointer rests on it. */
export function told<T extends SVGElement>(mark: T, words: string): T {
  mark.append(svg('title', {}, words));
  return mark;
}

/** From values to pixels. */
export interface IScale {
  (value: number): number;
  ticks: [number, string][];
}

/**
 * Values as an axis of the objective takes them: the worst few do not press the good ones together, they stay at its
 * end.
 */
export function readable(
  values: readonly (number | null)[],
  mode: 'min' | 'max'
): (number | null)[] {
  const known = values.filter((value): value is number => value !== null).sort((a, b) => a - b);
  if (known.length < FEWEST_TO_CUT) {
    return [...values];
  }
  const worst = Math.floor(known.length * WORST_SHARE);
  const edge = (mode === 'max' ? known[worst] : known[known.length - 1 - worst]) ?? 0;
  const cut = mode === 'max' ? Math.max : Math.min;
  return values.map(value => (value === null ? null : cut(value, edge)));
}

/** A scale between two pixels; labelled places instead of numbers where there are labels. */
export function scaleOf(
  values: readonly (number | null)[],
  from: number,
  to: number,
  isLog = false,
  labels: readonly string[] = []
): IScale {
  const known = values.filter((value): value is number => value !== null);
  if (labels.length > 0) {
    const gap = (to - from) / labels.length;
    const place = (value: number): number => from + gap * (value + 0.5);
    return Object.assign(place, {
      ticks: labels.map((label, at): [number, string] => [at, label])
    });
  }
  const inside = isLog ? known.filter(value => value > 0).map(Math.log10) : known;
  let low = inside.reduce((a, b) => Math.min(a, b), Infinity);
  let high = inside.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!Number.isFinite(low)) {
    [low, high] = [0, 1];
  }
  if (low === high) {
    [low, high] = [low - 0.5, high + 0.5];
  }
  const margin = 0.04 * (high - low);
  [low, high] = [low - margin, high + margin];
  const place = (value: number): number => {
    const at = isLog ? Math.log10(Math.max(value, 1e-300)) : value;
    return from + ((at - low) / (high - low)) * (to - from);
  };
  return Object.assign(place, { ticks: isLog ? logTicks(low, high) : plainTicks(low, high) });
}

function plainTicks(low: number, high: number): [number, string][] {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= rough) ?? rough;
  const ticks: [number, string][] = [];
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const isPlain = digits <= 4 && Math.abs(high) < 1e5 && Math.abs(low) < 1e5;
  for (let at = Math.ceil(low / step) * step; at <= high + 1e-12; at += step) {
    const value = Math.abs(at) < step / 1e6 ? 0 : at;
    ticks.push([value, isPlain ? value.toFixed(digits) : valueText(Number(value.toPrecision(6)))]);
  }
  return ticks;
}

/** Powers of ten; where the axis has one at most, twice and five times a power too, or even steps. */
function logTicks(low: number, high: number): [number, string][] {
  const powers = marks(low, high, [1]);
  const found = powers.length < 2 ? marks(low, high, [1, 2, 5]) : powers;
  if (found.length < 2) {
    return plainTicks(10 ** low, 10 ** high);
  }
  const isPlain = found.every(([, power]) => power >= -3 && power <= 4);
  const every = powers.length < 2 ? 1 : Math.ceil(found.length / 5);
  return found
    .filter((_, place) => place % every === 0)
    .map(([times, power]) => {
      const text = `${times}e${power}`;
      return [Number(text), isPlain ? String(Number(text)) : text];
    });
}

/** Multiples of powers of ten between two powers: `[times, power]`, the smallest first. */
function marks(low: number, high: number, multiples: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const times of multiples) {
      const at = power + Math.log10(times);
      if (at >= low && at <= high) {
        found.push([times, power]);
      }
    }
  }
  return found;
}

/** Lines and numbers at the left. */
export function drawLeftAxis(canvas: SVGSVGElement, box: IBox, scale: IScale): void {
  for (const [value, label] of scale.ticks) {
    const y = scale(value);
    canvas.append(
      svg('line', { x1: box.left, x2: box.right, y1: y, y2: y, class: 'jt-GridLine' }),
      svg('text', { x: box.left - 6, y: y + 3.5, 'text-anchor': 'end', class: 'jt-Tick' }, label)
    );
  }
}

/** Numbers at the bottom. */
export function drawBottomAxis(canvas: SVGSVGElement, box: IBox, scale: IScale): void {
  for (const [value, label] of scale.ticks) {
    canvas.append(
      svg(
        'text',
        { x: scale(value), y: box.bottom + 15, 'text-anchor': 'middle', class: 'jt-Tick' },
        label.length > 12 ? `${label.slice(0, 11)}…` : label
      )
    );
  }
}

/** A line through points; empty where a value is missing. */
export function path(points: readonly (readonly [number, number] | null)[]): string {
  let isDown = false;
  return points
    .map(point => {
      const word =
        point === null ? '' : `${isDown ? 'L' : 'M'}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
      isDown = point !== null;
      return word;
    })
    .join('');
}
