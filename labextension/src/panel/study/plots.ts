/**
 * The charts of a study: intermediate values, optimization history, slices, Pareto front and importance.
 */
import type { IParam, IStudy, TrialState } from '../../protocol/types.js';
import { valueText } from '../format.js';
import {
  withLabelRoom,
  drawBottomAxis,
  drawLeftAxis,
  linePath,
  createScale,
  svg,
  withTooltip,
  type Draw,
  type IScale
} from './chartFrame.js';
import {
  intermediateValues,
  modeOf,
  objectiveValues,
  ranking,
  trialText,
  type SelectedTrial
} from './trials.js';

/** Draws the objective of every trial over its epochs. */
export function drawIntermediateValues(study: IStudy, selected: SelectedTrial): Draw | null {
  const curves = study.curves.filter(curve => curve.epochs.length > 0);
  if (curves.length === 0) {
    return null;
  }
  const best = study.numbers[ranking(study)[0] ?? -1] ?? -1;
  const mode = modeOf(study);
  const all = intermediateValues(study);
  return (canvas, frame) => {
    const y = createScale(all.values, frame.bottom, frame.top);
    const box = withLabelRoom(frame, y);
    const xs = curves.flatMap(curve => curve.epochs);
    const x = createScale([0.9, ...xs], box.left, box.right);
    const offsets = new Map<number, number>();
    let offset = 0;
    for (const curve of curves) {
      offsets.set(curve.trial, offset);
      offset += curve.values.length;
    }
    x.ticks = wholeTicks(x.ticks).filter(([value]) => value > 0);
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    const rank = (trial: number): number => (trial === selected ? 2 : trial === best ? 1 : 0);
    for (const curve of [...curves].sort((a, b) => rank(a.trial) - rank(b.trial))) {
      const start = offsets.get(curve.trial) ?? 0;
      const points = curve.epochs.map((epoch, index): [number, number] | null => {
        const value = all.values[start + index] ?? null;
        return value === null ? null : [x(epoch), y(value)];
      });
      const kind = markClass(curve.state, curve.trial === best, curve.trial === selected);
      const text = `trial ${curve.trial} (${curve.state})`;
      const last = points[points.length - 1];
      canvas.append(
        withTooltip(svg('path', { d: linePath(points), class: `jt-TrialLine ${kind}` }), text)
      );
      points.forEach((point, index) => {
        if (point !== null && all.isClipped[start + index]) {
          const value = valueText(curve.values[index] ?? null);
          canvas.append(withTooltip(triangle(point, mode, kind), `${text}: ${value}`));
        }
      });
      if (last && !all.isClipped[start + points.length - 1]) {
        canvas.append(
          withTooltip(
            svg('circle', { cx: last[0], cy: last[1], r: 2, class: `jt-TrialDot ${kind}` }),
            text
          )
        );
      }
    }
  };
}

/** Draws the objective of each trial, and the best so far as a line. */
export function drawHistory(study: IStudy, selected: SelectedTrial): Draw | null {
  const { values, isClipped } = objectiveValues(study);
  if (!values.some(value => value !== null)) {
    return null;
  }
  const isMin = modeOf(study) === 'min';
  return (canvas, frame) => {
    const y = createScale(values, frame.bottom, frame.top);
    const box = withLabelRoom(frame, y);
    const x = createScale(study.numbers, box.left, box.right);
    x.ticks = wholeTicks(x.ticks).filter(([value]) => value >= 0);
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    let best: number | null = null;
    const steps: [number, number][] = [];
    study.numbers.forEach((number, index) => {
      const value = values[index] ?? null;
      if (study.states[index] === 'complete' && value !== null) {
        const isBetter = best === null || (isMin ? value < best : value > best);
        if (best !== null) {
          steps.push([x(number), y(best)]);
        }
        best = isBetter ? value : best;
        steps.push([x(number), y(best ?? value)]);
      }
    });
    const end = steps[steps.length - 1];
    if (end) {
      steps.push([x(study.numbers[study.numbers.length - 1] ?? 0), end[1]]);
    }
    canvas.append(svg('path', { d: linePath(steps), class: 'jt-BestLine' }));
    drawDots(canvas, study, study.numbers, values, x, y, selected, isClipped);
  };
}

/** Draws the objective against a parameter. */
export function drawSlice(study: IStudy, param: IParam, selected: SelectedTrial): Draw {
  return (canvas, frame) => {
    const { values, isClipped } = objectiveValues(study);
    const y = createScale(values, frame.bottom, frame.top);
    const box = withLabelRoom(frame, y);
    const x = createScale(param.values, box.left, box.right, param.isLog, param.labels);
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    drawDots(canvas, study, param.values, values, x, y, selected, isClipped);
  };
}

/** Draws an objective against another, and the Pareto front as a line. */
export function drawFront(study: IStudy, selected: SelectedTrial): Draw | null {
  const [first, second] = study.values;
  if (first === undefined || second === undefined) {
    return null;
  }
  const onFront = new Set(study.front);
  return (canvas, frame) => {
    const y = createScale(second, frame.bottom, frame.top);
    const box = withLabelRoom(frame, y);
    const x = createScale(first, box.left, box.right);
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    const line = study.numbers
      .map((number, index): [number, number] | null => {
        const [a, b] = [first[index] ?? null, second[index] ?? null];
        return onFront.has(number) && a !== null && b !== null ? [x(a), y(b)] : null;
      })
      .filter((point): point is [number, number] => point !== null)
      .sort((a, b) => a[0] - b[0]);
    canvas.append(svg('path', { d: linePath(line), class: 'jt-BestLine' }));
    drawDots(canvas, study, first, second, x, y, selected);
  };
}

/** Draws the importance of each parameter. */
export function drawImportance(study: IStudy): Draw | null {
  const shares = study.importance;
  if (shares.length === 0) {
    return null;
  }
  return (canvas, box) => {
    const height = Math.min(24, (box.bottom + 14 - box.top) / shares.length);
    const labelWidth = Math.min(140, (box.right - box.left) * 0.4);
    const barWidth = box.right - labelWidth - 44;
    shares.forEach(({ name, share }, index) => {
      const y = box.top + index * height;
      const text = { y: y + height / 2 + 4, class: 'jt-Tick' };
      canvas.append(
        svg(
          'text',
          { ...text, x: labelWidth, 'text-anchor': 'end' },
          shortText(name, labelWidth / 6.5)
        ),
        svg('rect', {
          x: labelWidth + 8,
          y: y + height * 0.2,
          width: Math.max(1, share * barWidth),
          height: height * 0.6,
          rx: 2,
          class: 'jt-ShareBar'
        }),
        svg(
          'text',
          { ...text, x: labelWidth + 14 + share * barWidth },
          `${Math.round(100 * share)} %`
        )
      );
    });
  };
}

/** Returns a triangle at the limit that points to the clipped value. */
function triangle(
  [x, y]: readonly [number, number],
  mode: 'min' | 'max',
  kind: string
): SVGElement {
  const down = mode === 'max' ? 1 : -1;
  const d = `M${(x - 4).toFixed(1)} ${(y - 3 * down).toFixed(1)}h8l-4 ${7 * down}Z`;
  return svg('path', { d, class: `jt-TrialDot jt-Beyond ${kind}` });
}

/** Draws every trial as a dot, with a ring around the best. */
export function drawDots(
  canvas: SVGSVGElement,
  study: IStudy,
  xs: readonly (number | null)[],
  ys: readonly (number | null)[],
  x: IScale,
  y: IScale,
  selected: SelectedTrial,
  isClipped: readonly boolean[] = []
): void {
  const best = ranking(study)[0] ?? -1;
  study.numbers.forEach((number, index) => {
    const [across, up] = [xs[index] ?? null, ys[index] ?? null];
    if (across === null || up === null) {
      return;
    }
    const state = study.states[index] ?? 'failed';
    const isBest = index === best && study.front.length === 0;
    const kind = markClass(state, isBest, number === selected);
    if (isClipped[index]) {
      const mark = triangle([x(across), y(up)], modeOf(study), kind);
      canvas.append(withTooltip(mark, trialText(study, index)));
      return;
    }
    const at = { cx: x(across).toFixed(1), cy: y(up).toFixed(1) };
    canvas.append(
      withTooltip(
        svg('circle', { ...at, r: isBest ? 3.5 : 2.6, class: `jt-TrialDot ${kind}` }),
        trialText(study, index)
      )
    );
    if (isBest) {
      canvas.append(svg('circle', { ...at, r: 6.5, class: 'jt-BestRing' }));
    }
  });
}

/** Returns the ticks that are whole numbers, such as epochs and trials. */
function wholeTicks(ticks: IScale['ticks']): IScale['ticks'] {
  return ticks
    .filter(([value]) => Number.isInteger(value))
    .map(([value]) => [value, value.toLocaleString('en-US')]);
}

function markClass(state: TrialState, isBest: boolean, isSelected: boolean): string {
  return `jt-mod-${state}${isBest ? ' jt-mod-best' : ''}${isSelected ? ' jt-mod-chosen' : ''}`;
}

/** Returns a text, cut to a number of characters. */
export function shortText(text: string, maxLength: number): string {
  const length = Math.max(3, Math.floor(maxLength));
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
