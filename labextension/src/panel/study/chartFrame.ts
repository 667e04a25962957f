/**
 * The frame of a chart in SVG: a title, a note, axes, and a drawing that follows the width.
 */
import { element, setText } from '../dom.js';
import { logTicks, niceTicks, tickLabels } from '../charts/ticks.js';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 190;
const MIN_WIDTH = 200;
const MAX_TICKS = 5;
/** Of a label, in characters. */
const MAX_LABEL_LENGTH = 14;
/** In pixels. */
const CHARACTER_WIDTH = 6.3;

/** The area of a drawing, in pixels. */
export interface IBox {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Draws into an empty SVG element of a width and height. */
export type Draw = (canvas: SVGSVGElement, box: IBox) => void;

/** A titled chart; redrawn when its width changes. */
export class ChartFrame {
  readonly node = element('figure', 'jt-Figure');
  private readonly _title = element('span', 'jt-ChartTitle');
  private readonly _note = element('span', 'jt-FigureNote');
  private readonly _host = element('div', 'jt-FigureHost');
  private readonly _resize: ResizeObserver;
  private _draw: Draw | null = null;
  private _width = 0;

  /**
   * @param _height - The height of the drawing, in pixels.
   * @param extra - Placed beside the title.
   */
  constructor(
    private readonly _height = HEIGHT,
    extra: HTMLElement | null = null
  ) {
    const caption = element('figcaption', '');
    caption.append(this._title, this._note, ...(extra === null ? [] : [extra]));
    this.node.append(caption, this._host);
    this._resize = new ResizeObserver(entries => this._onWidth(entries[0]?.contentRect.width ?? 0));
    this._resize.observe(this._host);
  }

  /** Shows a drawing; hides the chart where there is none. */
  update(title: string, draw: Draw | null, note = ''): void {
    setText(this._title, title);
    setText(this._note, note);
    this.node.hidden = draw === null;
    this._draw = draw;
    this._redraw();
  }

  /** Stops following the width. */
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
    const width = Math.max(MIN_WIDTH, Math.floor(this._width));
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

/** Returns a new SVG element. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number>,
  text = ''
): SVGElementTagNameMap[K] {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, String(value));
  }
  node.textContent = text;
  return node;
}

/** Adds a tooltip to a mark, and returns the mark. */
export function withTooltip<T extends SVGElement>(mark: T, text: string): T {
  mark.append(svg('title', {}, text));
  return mark;
}

/** Maps values to pixels. */
export interface IScale {
  (value: number): number;
  ticks: [number, string][];
}

/** Returns a scale between two pixels; a categorical one where there are labels. */
export function createScale(
  values: readonly (number | null)[],
  from: number,
  to: number,
  isLog = false,
  labels: readonly string[] = []
): IScale {
  const known = values.filter((value): value is number => value !== null);
  if (labels.length > 0) {
    const gap = (to - from) / labels.length;
    const position = (value: number): number => from + gap * (value + 0.5);
    return Object.assign(position, {
      ticks: labels.map((label, index): [number, string] => [index, label])
    });
  }
  const drawn = isLog ? known.filter(value => value > 0).map(Math.log10) : known;
  let low = drawn.reduce((a, b) => Math.min(a, b), Infinity);
  let high = drawn.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!Number.isFinite(low)) {
    [low, high] = [0, 1];
  }
  if (low === high) {
    [low, high] = [low - 0.5, high + 0.5];
  }
  const margin = 0.04 * (high - low);
  [low, high] = [low - margin, high + margin];
  const position = (value: number): number => {
    const at = isLog ? Math.log10(Math.max(value, 1e-300)) : value;
    return from + ((at - low) / (high - low)) * (to - from);
  };
  const ticks = isLog
    ? logTicks(10 ** low, 10 ** high, MAX_TICKS)
    : niceTicks(low, high, MAX_TICKS);
  return Object.assign(position, { ticks: withLabels(ticks) });
}

function withLabels(ticks: number[]): [number, string][] {
  const labels = tickLabels(ticks);
  return ticks.map((tick, index) => [tick, labels[index] ?? '']);
}

/** Returns the box with room at the left for the labels of a scale. */
export function withLabelRoom(box: IBox, scale: IScale): IBox {
  const length = Math.max(...scale.ticks.map(([, label]) => shortLabel(label).length), 0);
  return { ...box, left: Math.max(box.left, CHARACTER_WIDTH * length + 12) };
}

/** Returns a label, cut where it is too long; a number is never cut. */
export function shortLabel(label: string): string {
  return label.length > MAX_LABEL_LENGTH && Number.isNaN(Number(label.replace(/[,M]/g, '')))
    ? `${label.slice(0, MAX_LABEL_LENGTH - 1)}…`
    : label;
}

/** Draws grid lines and labels at the left. */
export function drawLeftAxis(canvas: SVGSVGElement, box: IBox, scale: IScale): void {
  for (const [value, label] of scale.ticks) {
    const y = scale(value);
    canvas.append(
      svg('line', { x1: box.left, x2: box.right, y1: y, y2: y, class: 'jt-GridLine' }),
      svg(
        'text',
        { x: box.left - 6, y: y + 3.5, 'text-anchor': 'end', class: 'jt-Tick' },
        shortLabel(label)
      )
    );
  }
}

/** Draws labels at the bottom, none of them beyond the right end. */
export function drawBottomAxis(canvas: SVGSVGElement, box: IBox, scale: IScale): void {
  const end = canvas.viewBox.baseVal.width;
  for (const [value, label] of scale.ticks) {
    const text = shortLabel(label);
    const x = Math.min(scale(value), end - (CHARACTER_WIDTH * text.length) / 2);
    canvas.append(
      svg('text', { x, y: box.bottom + 15, 'text-anchor': 'middle', class: 'jt-Tick' }, text)
    );
  }
}

/** Returns the path of a line through points, with a gap where a value is missing. */
export function linePath(points: readonly (readonly [number, number] | null)[]): string {
  let isDrawing = false;
  return points
    .map(point => {
      const part =
        point === null
          ? ''
          : `${isDrawing ? 'L' : 'M'}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
      isDrawing = point !== null;
      return part;
    })
    .join('');
}
