/**
 * The pictures of a search: trials over their epochs, one after the other, by their values, against each other.
 */
import type { IParam, IStudy, TrialState } from '../../study';
import { valueText } from '../words';
import {
  drawBottomAxis,
  drawLeftAxis,
  path,
  readable,
  scaleOf,
  svg,
  told,
  type Draw,
  type IBox,
  type IScale
} from './figure';

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
  const mode = study.objectives[0]?.mode ?? 'max';
  return (canvas, box) => {
    const xs = shown.flatMap(curve => curve.epochs);
    const x = scaleOf([0.9, ...xs], box.left, box.right);
    const all = readable(
      shown.flatMap(curve => curve.values),
      mode
    );
    const y = scaleOf(all, box.bottom, box.top);
    const end = all.reduce<number>(
      (a, b) => (mode === 'max' ? Math.min : Math.max)(a, b ?? a),
      all[0] ?? 0
    );
    const cut = (value: number): number => (mode === 'max' ? Math.max : Math.min)(value, end);
    x.ticks = whole(x.ticks).filter(([value]) => value > 0);
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    const rank = (trial: number): number => (trial === chosen ? 2 : trial === best ? 1 : 0);
    for (const curve of [...shown].sort((a, b) => rank(a.trial) - rank(b.trial))) {
      const points = curve.epochs.map((epoch, at): [number, number] | null => {
        const value = curve.values[at] ?? null;
        return value === null ? null : [x(epoch), y(cut(value))];
      });
      const kind = markClass(curve.state, curve.trial === best, curve.trial === chosen);
      const words = `trial ${curve.trial} (${curve.state})`;
      const last = points[points.length - 1];
      canvas.append(told(svg('path', { d: path(points), class: `jt-TrialLine ${kind}` }), words));
      if (last) {
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
  const values = objective(study);
  if (!values.some(value => value !== null)) {
    return null;
  }
  const isMin = study.objectives[0]?.mode === 'min';
  return (canvas, box) => {
    const x = scaleOf(study.numbers, box.left, box.right);
    const y = scaleOf(values, box.bottom, box.top);
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
    drawDots(canvas, study, study.numbers, values, x, y, chosen);
  };
}

/** The objective against one parameter. */
export function slice(study: IStudy, param: IParam, chosen: Chosen): Draw {
  return (canvas, box) => {
    const values = objective(study);
    const x = scaleOf(param.values, box.left, box.right, param.isLog, param.labels);
    const y = scaleOf(values, box.bottom, box.top);
    drawLeftAxis(canvas, box, y);
    drawBottomAxis(canvas, box, x);
    drawDots(canvas, study, param.values, values, x, y, chosen);
  };
}

/** One objective against another; the front is drawn through. */
export function front(study: IStudy, chosen: Chosen): Draw | null {
  const [first, second] = study.values;
  if (first === undefined || second === undefined) {
    return null;
  }
  const onFront = new Set(study.front);
  return (canvas, box) => {
    const x = scaleOf(first, box.left, box.right);
    const y = scaleOf(second, box.bottom, box.top);
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

/** Every trial a line through its values, one axis a name and the objective last. */
export function parallel(study: IStudy, chosen: Chosen): Draw | null {
  const places = ranking(study);
  if (places.length < 2 || study.params.length < 2) {
    return null;
  }
  return (canvas, box) => {
    const inner: IBox = { ...box, left: 30, right: box.right - 34, top: box.top + 16 };
    const scales = study.params.map(param =>
      scaleOf(param.values, inner.bottom, inner.top, param.isLog, param.labels)
    );
    const values = objective(study);
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
          svg('text', { x: x + 4, y: scale(value) + 3.5, class: 'jt-Tick' }, short(label, 9))
        );
      }
    });
  };
}

/** The first objective, as its axis takes it. */
export function objective(study: IStudy): (number | null)[] {
  return readable(study.values[0] ?? [], study.objectives[0]?.mode ?? 'max');
}

/** Every trial as a dot; the best of them ringed. */
export function drawDots(
  canvas: SVGSVGElement,
  study: IStudy,
  xs: readonly (number | null)[],
  ys: readonly (number | null)[],
  x: IScale,
  y: IScale,
  chosen: Chosen
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

function short(words: string, most: number): string {
  const letters = Math.max(3, Math.floor(most));
  return words.length > letters ? `${words.slice(0, letters - 1)}…` : words;
}
