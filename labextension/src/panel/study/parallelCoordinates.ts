/**
 * All values of the trials together: every trial a line, every name an axis.
 */
import type { IStudy } from '../../protocol/types.js';
import { beside, path, scaleOf, shortened, svg, told, type Draw, type IBox } from './chartFrame.js';
import { objective, ranking, short, trialWords, type Chosen } from './plots.js';

/** Every trial a line through its values, one axis a name and the objective last. */
export function parallel(study: IStudy, chosen: Chosen): Draw | null {
  const places = ranking(study);
  if (places.length < 2 || study.params.length < 2) {
    return null;
  }
  return (canvas, box) => {
    const { values } = objective(study);
    const top = box.top + 16;
    const last = beside({ ...box, left: 0 }, scaleOf(values, box.bottom, top)).left;
    const inner: IBox = { ...box, left: 30, right: box.right - Math.max(34, last), top };
    const scales = study.params.map(param =>
      scaleOf(param.values, inner.bottom, inner.top, param.isLog, param.labels)
    );
    scales.push(scaleOf(values, inner.bottom, inner.top));
    const columns = [...study.params.map(param => param.values), values];
    const names = [...study.params.map(param => param.name), study.objectives[0]?.metric ?? ''];
    const gap = (inner.right - inner.left) / (scales.length - 1);
    // the best are drawn last, over the others
    [...places].reverse().forEach((place, at) => {
      const points = columns.map((column, axis): [number, number] | null => {
        const value = column[place] ?? null;
        return value === null ? null : [inner.left + axis * gap, scales[axis]?.(value) ?? 0];
      });
      const isChosen = study.numbers[place] === chosen;
      const share = places.length < 2 ? 1 : at / (places.length - 1);
      const line = svg('path', {
        d: path(points),
        class: `jt-ParallelLine${isChosen ? ' jt-mod-chosen' : ''}`,
        'stroke-opacity': isChosen ? 1 : (0.1 + 0.8 * share ** 2).toFixed(2)
      });
      canvas.append(told(line, trialWords(study, place)));
    });
    scales.forEach((scale, axis) => {
      const x = inner.left + axis * gap;
      const anchor = axis === 0 ? 'start' : axis === scales.length - 1 ? 'end' : 'middle';
      const at = axis === 0 ? x - 24 : axis === scales.length - 1 ? x + 32 : x;
      canvas.append(
        svg('line', { x1: x, x2: x, y1: inner.top, y2: inner.bottom, class: 'jt-AxisLine' }),
        svg(
          'text',
          { x: at, y: inner.top - 9, 'text-anchor': anchor, class: 'jt-AxisName' },
          short(names[axis] ?? '', gap / 6.5)
        )
      );
      for (const [value, label] of scale.ticks) {
        canvas.append(
          svg('text', { x: x + 4, y: scale(value) + 3.5, class: 'jt-Tick' }, shortened(label))
        );
      }
    });
  };
}
