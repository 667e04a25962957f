/**
 * The looks of a chart: its series as uPlot draws them, in the colours and fonts of the theme.
 */
import uPlot from 'uplot';

import type { IMetricGroup, ISeries } from '../../protocol/types.js';
import { COLUMNS_PER_SERIES } from './alignedData.js';

const MAX_POINTS_WITH_DOTS = 40;
/** Colours of further series of a role; with the role's own, as many as runs can be compared. */
const EXTRA_COLOURS = 11;
/** Dashes for when all colours are taken. */
const DASHES = [[], [6, 3], [2, 3]];

/** How a series is drawn. */
export interface ISeriesStyle {
  colour: string;
  dash: number[];
}

/** What a chart takes from the theme. */
export interface IPalette {
  styles: ISeriesStyle[];
  text: string;
  line: string;
  font: string;
}

/** Returns a series' line, and the two edges of its band. */
export function seriesOptions(series: ISeries, { colour, dash }: ISeriesStyle): uPlot.Series[] {
  const edge: uPlot.Series = {
    stroke: 'transparent',
    width: 0,
    points: { show: false }
  };
  const points = {
    show: series.steps.length <= MAX_POINTS_WITH_DOTS && !series.isRate,
    size: 5,
    fill: colour,
    stroke: colour
  };
  const line: uPlot.Series = { label: series.name, stroke: colour, width: 1.8, dash, points };
  const stepped = uPlot.paths.stepped;
  if (series.isRate && stepped !== undefined) {
    line.paths = stepped({ align: 1 });
  }
  return [line, { ...edge }, { ...edge }];
}

/** Returns a band between least and greatest value for each series whose points stand for several values. */
export function bandOptions(
  allSeries: readonly ISeries[],
  styles: readonly ISeriesStyle[]
): uPlot.Band[] {
  return allSeries.flatMap((series, index) => {
    const line = 1 + COLUMNS_PER_SERIES * index;
    const fill = translucent(styles[index]?.colour ?? '');
    return series.lows.length === 0 ? [] : [{ series: [line + 2, line + 1], fill } as uPlot.Band];
  });
}

/**
 * Returns the colours and fonts of the theme as it is now: one style per series, by role; further series of a role
 * get other colours.
 *
 * @param node - A node in the page: one that is not attached has no theme.
 */
export function themePalette(group: IMetricGroup, node: HTMLElement): IPalette {
  const css = getComputedStyle(node);
  const read = (name: string, or = '#808080'): string => css.getPropertyValue(name).trim() || or;
  const used = new Set<string>();
  let extras = 0;
  const styles = group.series.map(({ role }) => {
    const colour = read(`--jt-${role}`);
    if (role === 'parent' || !used.has(colour)) {
      used.add(colour);
      return { colour, dash: [] };
    }
    const [index, round] = [extras % EXTRA_COLOURS, Math.floor(extras / EXTRA_COLOURS)];
    extras++;
    return { colour: read(`--jt-extra${index + 1}`), dash: DASHES[round % DASHES.length] ?? [] };
  });
  return {
    styles,
    text: read('--jp-ui-font-color2'),
    line: read('--jt-line'),
    font: `11px ${read('--jp-ui-font-family', 'sans-serif')}`
  };
}

function translucent(colour: string): string {
  return /^#[0-9a-f]{6}$/i.test(colour) ? `${colour}2e` : colour;
}
