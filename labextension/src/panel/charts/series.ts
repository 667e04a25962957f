/**
 * What a chart draws: a group's series as uPlot wants them, their colours, scales and ticks.
 */
import uPlot from 'uplot';

import type { IMetricGroup, ISeries, Value } from '../../protocol/types.js';

const MOST_DOTS = 40;
/** Colours of further series of a role; with the role's own, as many as runs can be compared. */
const EXTRAS = 11;
/** When all colours are taken. */
const DASHES = [[], [6, 3], [2, 3]];

/** How a series is drawn. */
export interface ILook {
  colour: string;
  dash: number[];
}

/** What a chart takes from the theme. */
export interface IPalette {
  looks: ILook[];
  text: string;
  line: string;
  font: string;
}

/** All steps of all series, and each series' values, lows and highs at them. */
export function alignedOf(series: ISeries[]): uPlot.AlignedData {
  const steps = [...new Set(series.flatMap(one => one.steps))].sort((a, b) => a - b);
  const places = new Map(steps.map((step, index) => [step, index]));
  const columns = series.flatMap(one =>
    [one.values, one.lows, one.highs].map(values => {
      // where another series has a step the line goes on; where this one has no number it is broken
      const column = new Array<Value | undefined>(steps.length).fill(undefined);
      one.steps.forEach((step, index) => {
        column[places.get(step) ?? 0] = values[index] ?? null;
      });
      return column;
    })
  );
  return [steps, ...columns];
}

/** A series; a learning rate is recorded when it changes, so its last value holds until where its own run is. */
export function heldUntil(one: ISeries, step: Value): ISeries {
  const end = one.steps[one.steps.length - 1];
  if (!one.isRate || step === null || end === undefined || step <= end) {
    return one;
  }
  const last = one.values[one.values.length - 1] ?? null;
  return {
    ...one,
    steps: [...one.steps, step],
    values: [...one.values, last],
    lows: one.lows.length === 0 ? [] : [...one.lows, last],
    highs: one.highs.length === 0 ? [] : [...one.highs, last]
  };
}

/** A series' line, and the two edges of its band. */
export function linesOf(one: ISeries, { colour, dash }: ILook, isStepped: boolean): uPlot.Series[] {
  const edge: uPlot.Series = {
    stroke: 'transparent',
    width: 0,
    points: { show: false }
  };
  const dots = {
    show: one.steps.length <= MOST_DOTS && !isStepped,
    size: 5,
    fill: colour,
    stroke: colour
  };
  const line: uPlot.Series = {
    label: one.name,
    stroke: colour,
    width: 1.8,
    dash,
    points: dots
  };
  const stepped = uPlot.paths.stepped;
  if (isStepped && stepped !== undefined) {
    line.paths = stepped({ align: 1 });
  }
  return [line, { ...edge }, { ...edge }];
}

/** Between least and greatest value where a point stands for several. */
export function bandsOf(series: ISeries[], looks: ILook[]): uPlot.Band[] {
  return series.flatMap((one, index) =>
    one.lows.length === 0
      ? []
      : [
          {
            series: [3 + 3 * index, 2 + 3 * index],
            fill: faint(looks[index]?.colour ?? '')
          } as uPlot.Band
        ]
  );
}

/**
 * Colours and fonts of the theme as it is now: one look per series, by role; further series of a role get others.
 *
 * @param node - Where the chart stands in the page: a node that is not attached has no theme.
 */
export function paletteOf(group: IMetricGroup, node: HTMLElement): IPalette {
  const css = getComputedStyle(node);
  const read = (name: string, or = '#808080'): string => css.getPropertyValue(name).trim() || or;
  const used = new Set<string>();
  let further = 0;
  const looks = group.series.map(({ role }) => {
    const colour = read(`--jt-${role}`);
    if (role === 'parent' || !used.has(colour)) {
      used.add(colour);
      return { colour, dash: [] };
    }
    const [place, round] = [further % EXTRAS, Math.floor(further / EXTRAS)];
    further++;
    return { colour: read(`--jt-extra${place + 1}`), dash: DASHES[round % DASHES.length] ?? [] };
  });
  return {
    looks,
    text: read('--jp-ui-font-color2'),
    line: read('--jt-line'),
    font: `11px ${read('--jp-ui-font-family', 'sans-serif')}`
  };
}

function faint(colour: string): string {
  return /^#[0-9a-f]{6}$/i.test(colour) ? `${colour}2e` : colour;
}

/** One point gets room around it; more fill the width. */
export function xRange(_: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax {
  const [from, to] = [low ?? 0, high ?? 1];
  return from === to ? [from - 1, to + 1] : [from, to];
}

/** A tick of the horizontal axis. */
export function stepText(step: number): string {
  return Number.isInteger(step) ? step.toLocaleString('en-US') : '';
}
