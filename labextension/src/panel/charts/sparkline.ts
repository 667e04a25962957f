/**
 * A curve of a few numbers, as small as a word.
 */

const SVG = 'http://www.w3.org/2000/svg';

/** Draws numbers from left to right in a box of its own. */
export class Spark {
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
   * @param floor - What stands at the bottom; the least value if left out.
   */
  show(values: number[], floor = Math.min(...values)): void {
    if (values.length < 2) {
      this._line.setAttribute('points', '');
      return;
    }
    const across = this._width / (values.length - 1);
    const high = Math.max(...values);
    const up = (this._height - 2) / (high - floor || 1);
    const points = values.map(
      (value, at) => `${(at * across).toFixed(1)},${(1 + (high - value) * up).toFixed(1)}`
    );
    this._line.setAttribute('points', points.join(' '));
  }
}
