/**
 * A curve of a few numbers, as small as a word.
 */

const SVG = 'http://www.w3.org/2000/svg';

/** A sparkline in SVG. */
export class Sparkline {
  readonly node = document.createElementNS(SVG, 'svg');
  private readonly _line = document.createElementNS(SVG, 'polyline');

  constructor(
    private readonly _width: number,
    private readonly _height: number
  ) {
    this.node.setAttribute('class', 'jt-Spark');
    this.node.setAttribute('viewBox', `0 0 ${_width} ${_height}`);
    this.node.setAttribute('aria-hidden', 'true');
    this.node.append(this._line);
  }

  /**
   * Shows values.
   *
   * @param floor - The value at the bottom; the least one if left out.
   */
  show(values: number[], floor = Math.min(...values)): void {
    if (values.length < 2) {
      this._line.setAttribute('points', '');
      return;
    }
    const gap = this._width / (values.length - 1);
    const high = Math.max(...values);
    const scale = (this._height - 2) / (high - floor || 1);
    const points = values.map(
      (value, index) => `${(index * gap).toFixed(1)},${(1 + (high - value) * scale).toFixed(1)}`
    );
    this._line.setAttribute('points', points.join(' '));
  }
}
