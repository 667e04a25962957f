/**
 * The axes of a live chart: ticks and labels as the picture has them, with room for every label.
 */
import type uPlot from 'uplot';

import { logTicks, niceTicks, tickTexts } from './ticks.js';

const MOST_VALUE_TICKS = 5;
/** Between an axis and its labels, and around them. In pixels. */
const LABEL_GAP = 12;
const LEAST_VALUE_ROOM = 46;
const LEAST_RIGHT = 12;

/** Gives the ticks of the horizontal axis. */
export type StepTicks = (plot: uPlot, axis: number, low: number, high: number) => number[];

/** Steps below, values at the left. */
export function axesOf(
  font: string,
  text: string,
  line: string,
  isLog: boolean,
  stepTicks: StepTicks
): uPlot.Axis[] {
  const filter = (_: uPlot, ticks: number[]): number[] => ticks;
  const axis = {
    stroke: text,
    font,
    filter,
    ticks: { show: false },
    values: (_: uPlot, ticks: number[]) => tickTexts(ticks)
  };
  return [
    { ...axis, grid: { show: false }, splits: stepTicks, size: 26 },
    {
      ...axis,
      grid: { stroke: line, width: 1, filter },
      splits: (_, _axis, low, high) => (isLog ? logTicks : niceTicks)(low, high, MOST_VALUE_TICKS),
      size: (plot, texts: string[] | null) =>
        Math.max(LEAST_VALUE_ROOM, widest(plot, font, texts ?? []) + LABEL_GAP)
    }
  ];
}

/** Room at the right for half of the last step's label. */
export function rightOf(plot: uPlot, font: string, stepTicks: StepTicks): number {
  const { min, max } = plot.scales.x ?? {};
  const ticks = min == null || max == null ? [] : stepTicks(plot, 0, min, max);
  return Math.max(LEAST_RIGHT, Math.ceil(widest(plot, font, tickTexts(ticks)) / 2) + 2);
}

/** The widest of some labels, in pixels. */
function widest(plot: uPlot, font: string, texts: readonly string[]): number {
  plot.ctx.save();
  plot.ctx.font = font;
  const widths = texts.map(text => plot.ctx.measureText(text).width);
  plot.ctx.restore();
  return Math.max(0, ...widths);
}
