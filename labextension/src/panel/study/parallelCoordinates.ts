/**
 * The parallel coordinates of a study: every trial a line, every parameter an axis.
 */
import type { IStudy } from '../../protocol/types.js';
import {
  withLabelRoom,
  linePath,
  createScale,
  shortLabel,
  svg,
  withTooltip,
  type Draw,
  type IBox
} from './chartFrame.js';
import { shortText } from './plots.js';
import { objectiveValues, ranking, trialText, type SelectedTrial } from './trials.js';

/** Draws every trial as a line through its values; the last axis is the objective. */
export function drawParallelCoordinates(study: IStudy, selected: SelectedTrial): Draw | null {
  const indexes = ranking(study);
  if (indexes.length < 2 || study.params.length < 2) {
    return null;
  }
  return (canvas, box) => {
    const { values } = objectiveValues(study);
    const top = box.top + 16;
    const last = withLabelRoom({ ...box, left: 0 }, createScale(values, box.bottom, top)).left;
    const inner: IBox = { ...box, left: 30, right: box.right - Math.max(34, last), top };
    const scales = study.params.map(param =>
      createScale(param.values, inner.bottom, inner.top, param.isLog, param.labels)
    );
    scales.push(createScale(values, inner.bottom, inner.top));
    const columns = [...study.params.map(param => param.values), values];
    const names = [...study.params.map(param => param.name), study.objectives[0]?.metric ?? ''];
    const gap = (inner.right - inner.left) / (scales.length - 1);
    // the best are drawn last, over the others
    [...indexes].reverse().forEach((index, rank) => {
      const points = columns.map((column, axis): [number, number] | null => {
        const value = column[index] ?? null;
        return value === null ? null : [inner.left + axis * gap, scales[axis]?.(value) ?? 0];
      });
      const isSelected = study.numbers[index] === selected;
      const share = indexes.length < 2 ? 1 : rank / (indexes.length - 1);
      const line = svg('path', {
        d: linePath(points),
        class: `jt-ParallelLine${isSelected ? ' jt-mod-chosen' : ''}`,
        'stroke-opacity': isSelected ? 1 : (0.1 + 0.8 * share ** 2).toFixed(2)
      });
      canvas.append(withTooltip(line, trialText(study, index)));
    });
    scales.forEach((scale, axis) => {
      const x = inner.left + axis * gap;
      const anchor = axis === 0 ? 'start' : axis === scales.length - 1 ? 'end' : 'middle';
      const nameX = axis === 0 ? x - 24 : axis === scales.length - 1 ? x + 32 : x;
      canvas.append(
        svg('line', { x1: x, x2: x, y1: inner.top, y2: inner.bottom, class: 'jt-AxisLine' }),
        svg(
          'text',
          { x: nameX, y: inner.top - 9, 'text-anchor': anchor, class: 'jt-AxisName' },
          shortText(names[axis] ?? '', gap / 6.5)
        )
      );
      for (const [value, label] of scale.ticks) {
        canvas.append(
          svg('text', { x: x + 4, y: scale(value) + 3.5, class: 'jt-Tick' }, shortLabel(label))
        );
      }
    });
  };
}
