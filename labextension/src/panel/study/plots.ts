/**
 * The pictures of a search: trials over their epochs, one after the other, by their values, against each other.
 */
import type { IParam, IStudy, TrialState } from '../../protocol/types.js';
import { valueText } from '../format.js';
import { readable, type IReadable } from './outliers.js';
import {
  beside,
  drawBottomAxis,
  drawLeftAxis,
  path,
  scaleOf,
  svg,
  told,
  type Draw,
  type IScale
} from './chartFrame.js';

/** A trial that somebody has chosen; -1 for none. */
export type Chosen = number;

/** A trial's values in words: `trial 3 · val_acc 0.93 · lr 0.01 · relu`. */
export function trialWords(study: IStudy, place: number): string {
  const words = [`trial ${study.numbers[place]} (${study.states[place]})`];
  study.objectives.forEach(({ metric }, index) => {
    const value = study.values[index]?.[place] ?? null;
    if (value !== null) {
      words.push(`${metric} ${valueText(value)}`);
    }
  });
  study.params.forEach(param => words.push(`${param.name} ${paramText(param, place)}`));
  return words.join(' · ');
}

/** A parameter's value as people read it. */
export function paramText(param: IParam, place: number): string {
  const value = param.values[place] ?? null;
  return param.labels.length > 0 && value !== null
    ? (param.labels[value] ?? '–')
    : valueText(value);
}

/** Places of the complete trials, the best first. */
export function ranking(study: IStudy): number[] {
  const values = study.values[0] ?? [];
  const sign = study.objectives[0]?.mode === 'min' ? 1 : -1;
  return study.numbers
    .map((_, place) => place)
    .filter(place => study.states[place] === 'complete' && (values[place] ?? null) !== null)
    .sort((a, b) => sign * ((values[a] ?? 0) - (values[b] ?? 0)) || a - b);
}

/** Every trial's objective over its epochs. */
export function curves(study: IStudy, chosen: Chosen): Draw | null {
  const shown = study.curves.filter(curve => curve.epochs.length > 0);
  if (shown.length === 0) {
    return null;
  }
  const best = study.numbers[ranking(study)[0] ?? -1] ?? -1;
  const mode = modeOf(study);
  const all = curveValues(study);
  return (canvas, frame) => {
    const y = scaleOf(all.values, frame.bottom, frame.top);
    const box = beside(frame, y);
    const xs = shown.flatMap(curve => curve.epochs);
    const x = scaleOf([0.9, ...xs], box.left, box.right);
    const first = new Map<number, number>();
    let before = 0;
    for (const curve of shown) {
      first.set(curve.trial, before);
      before += curve.values.length;
    }
    x.ticks = whole(x.ticks).filter(([value]) => value > 0);
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    const rank = (trial: number): number => (trial === chosen ? 2 : trial === best ? 1 : 0);
    for (const curve of [...shown].sort((a, b) => rank(a.trial) - rank(b.trial))) {
      const place = first.get(curve.trial) ?? 0;
      const points = curve.epochs.map((epoch, at): [number, number] | null => {
        const value = all.values[place + at] ?? null;
        return value === null ? null : [x(epoch), y(value)];
      });
      const kind = markClass(curve.state, curve.trial === best, curve.trial === chosen);
      const words = `trial ${curve.trial} (${curve.state})`;
      const last = points[points.length - 1];
      canvas.append(told(svg('path', { d: path(points), class: `jt-TrialLine ${kind}` }), words));
      points.forEach((point, at) => {
        if (point !== null && all.isBeyond[place + at]) {
          const value = valueText(curve.values[at] ?? null);
          canvas.append(told(beyond(point, mode, kind), `${words}: ${value}`));
        }
      });
      if (last && !all.isBeyond[place + points.length - 1]) {
        canvas.append(
          told(
            svg('circle', { cx: last[0], cy: last[1], r: 2, class: `jt-TrialDot ${kind}` }),
            words
          )
        );
      }
    }
  };
}

/** Objective after objective, and the best so far as a line. */
export function history(study: IStudy, chosen: Chosen): Draw | null {
  const { values, isBeyond } = objective(study);
  if (!values.some(value => value !== null)) {
    return null;
  }
  const isMin = study.objectives[0]?.mode === 'min';
  return (canvas, frame) => {
    const y = scaleOf(values, frame.bottom, frame.top);
    const box = beside(frame, y);
    const x = scaleOf(study.numbers, box.left, box.right);
    x.ticks = whole(x.ticks).filter(([value]) => value >= 0);
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    let best: number | null = null;
    const steps: [number, number][] = [];
    study.numbers.forEach((number, place) => {
      const value = values[place] ?? null;
      if (study.states[place] === 'complete' && value !== null) {
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
    canvas.append(svg('path', { d: path(steps), class: 'jt-BestLine' }));
    drawDots(canvas, study, study.numbers, values, x, y, chosen, isBeyond);
  };
}

/** The objective against one parameter. */
export function slice(study: IStudy, param: IParam, chosen: Chosen): Draw {
  return (canvas, frame) => {
    const { values, isBeyond } = objective(study);
    const y = scaleOf(values, frame.bottom, frame.top);
    const box = beside(frame, y);
    const x = scaleOf(param.values, box.left, box.right, param.isLog, param.labels);
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    drawDots(canvas, study, param.values, values, x, y, chosen, isBeyond);
  };
}

/** One objective against another; the front is drawn through. */
export function front(study: IStudy, chosen: Chosen): Draw | null {
  const [first, second] = study.values;
  if (first === undefined || second === undefined) {
    return null;
  }
  const onFront = new Set(study.front);
  return (canvas, frame) => {
    const y = scaleOf(second, frame.bottom, frame.top);
    const box = beside(frame, y);
    const x = scaleOf(first, box.left, box.right);
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    const line = study.numbers
      .map((number, place): [number, number] | null => {
        const [a, b] = [first[place] ?? null, second[place] ?? null];
        return onFront.has(number) && a !== null && b !== null ? [x(a), y(b)] : null;
      })
      .filter((point): point is [number, number] => point !== null)
      .sort((a, b) => a[0] - b[0]);
    canvas.append(svg('path', { d: path(line), class: 'jt-BestLine' }));
    drawDots(canvas, study, first, second, x, y, chosen);
  };
}

/** How much each name explains. */
export function importance(study: IStudy): Draw | null {
  const shares = study.importance;
  if (shares.length === 0) {
    return null;
  }
  return (canvas, box) => {
    const high = Math.min(24, (box.bottom + 14 - box.top) / shares.length);
    const label = Math.min(140, (box.right - box.left) * 0.4);
    const room = box.right - label - 44;
    shares.forEach(({ name, share }, place) => {
      const y = box.top + place * high;
      const text = { y: y + high / 2 + 4, class: 'jt-Tick' };
      canvas.append(
        svg('text', { ...text, x: label, 'text-anchor': 'end' }, short(name, label / 6.5)),
        svg('rect', {
          x: label + 8,
          y: y + high * 0.2,
          width: Math.max(1, share * room),
          height: high * 0.6,
          rx: 2,
          class: 'jt-ShareBar'
        }),
        svg('text', { ...text, x: label + 14 + share * room }, `${Math.round(100 * share)} %`)
      );
    });
  };
}

/** The first objective, as its axis takes it. */
export function objective(study: IStudy): IReadable {
  return readable(study.values[0] ?? [], modeOf(study));
}

/** The values of all curves that are drawn, one curve after the other, as their axis takes them. */
export function curveValues(study: IStudy): IReadable {
  return readable(
    study.curves.flatMap(curve => curve.values),
    modeOf(study)
  );
}

function modeOf(study: IStudy): 'min' | 'max' {
  return study.objectives[0]?.mode ?? 'max';
}

/** A triangle at the end of the axis that points to where the value lies. */
function beyond([x, y]: readonly [number, number], mode: 'min' | 'max', kind: string): SVGElement {
  const down = mode === 'max' ? 1 : -1;
  const d = `M${(x - 4).toFixed(1)} ${(y - 3 * down).toFixed(1)}h8l-4 ${7 * down}Z`;
  return svg('path', { d, class: `jt-TrialDot jt-Beyond ${kind}` });
}

/** Every trial as a dot; the best of them ringed. */
export function drawDots(
  canvas: SVGSVGElement,
  study: IStudy,
  xs: readonly (number | null)[],
  ys: readonly (number | null)[],
  x: IScale,
  y: IScale,
  chosen: Chosen,
  isBeyond: readonly boolean[] = []
): void {
  const best = ranking(study)[0] ?? -1;
  study.numbers.forEach((number, place) => {
    const [across, up] = [xs[place] ?? null, ys[place] ?? null];
    if (across === null || up === null) {
      return;
    }
    const state = study.states[place] ?? 'failed';
    const isBest = place === best && study.front.length === 0;
    const kind = markClass(state, isBest, number === chosen);
    if (isBeyond[place]) {
      const mark = beyond([x(across), y(up)], modeOf(study), kind);
      canvas.append(told(mark, trialWords(study, place)));
      return;
    }
    const at = { cx: x(across).toFixed(1), cy: y(up).toFixed(1) };
    canvas.append(
      told(
        svg('circle', { ...at, r: isBest ? 3.5 : 2.6, class: `jt-TrialDot ${kind}` }),
        trialWords(study, place)
      )
    );
    if (isBest) {
      canvas.append(svg('circle', { ...at, r: 6.5, class: 'jt-BestRing' }));
    }
  });
}

/** The places that are whole numbers, written as such: epochs and trials. */
function whole(ticks: IScale['ticks']): IScale['ticks'] {
  return ticks
    .filter(([value]) => Number.isInteger(value))
    .map(([value]) => [value, value.toLocaleString('en-US')]);
}

function markClass(state: TrialState, isBest: boolean, isChosen: boolean): string {
  return `jt-mod-${state}${isBest ? ' jt-mod-best' : ''}${isChosen ? ' jt-mod-chosen' : ''}`;
}

export function short(words: string, most: number): string {
  const letters = Math.max(3, Math.floor(most));
  return words.length > letters ? `${words.slice(0, letters - 1)}…` : words;
}
