/**
 * A small picture in SVG that is drawn anew at the width it has, with axes as the charts of a run have them.
 */
import { element, setText } from '../dom.js';
import { logTicks, niceTicks, tickTexts } from '../charts/ticks.js';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 190;
const LEAST_WIDTH = 200;
const MOST_TICKS = 5;
/** Of a label, in letters and in pixels. */
const MOST_LETTERS = 14;
const LETTER = 6.3;

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
  const ticks = isLog
    ? logTicks(10 ** low, 10 ** high, MOST_TICKS)
    : niceTicks(low, high, MOST_TICKS);
  return Object.assign(place, { ticks: labelled(ticks) });
}

function labelled(ticks: number[]): [number, string][] {
  const texts = tickTexts(ticks);
  return ticks.map((tick, at) => [tick, texts[at] ?? '']);
}

/** The box with room at the left for the labels of a scale. */
export function beside(box: IBox, scale: IScale): IBox {
  const letters = Math.max(...scale.ticks.map(([, label]) => shortened(label).length), 0);
  return { ...box, left: Math.max(box.left, LETTER * letters + 12) };
}

/** A label as long as there is room for; a number is never cut. */
export function shortened(label: string): string {
  return label.length > MOST_LETTERS && Number.isNaN(Number(label.replace(/[,M]/g, '')))
    ? `${label.slice(0, MOST_LETTERS - 1)}…`
    : label;
}

/** Lines and numbers at the left. */
export function drawLeftAxis(canvas: SVGSVGElement, box: IBox, scale: IScale): void {
  for (const [value, label] of scale.ticks) {
    const y = scale(value);
    canvas.append(
      svg('line', { x1: box.left, x2: box.right, y1: y, y2: y, class: 'jt-GridLine' }),
      svg(
        'text',
        { x: box.left - 6, y: y + 3.5, 'text-anchor': 'end', class: 'jt-Tick' },
        shortened(label)
      )
    );
  }
}

/** Numbers at the bottom, none of them beyond the picture's right end. */
export function drawBottomAxis(canvas: SVGSVGElement, box: IBox, scale: IScale): void {
  const end = canvas.viewBox.baseVal.width;
  for (const [value, label] of scale.ticks) {
    const text = shortened(label);
    const x = Math.min(scale(value), end - (LETTER * text.length) / 2);
    canvas.append(
      svg('text', { x, y: box.bottom + 15, 'text-anchor': 'middle', class: 'jt-Tick' }, text)
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
