/**
 * The axes of a live chart: the ticks and labels of the saved image, with room for every label.
 */
import type uPlot from 'uplot';

import { logTicks, niceTicks, tickLabels } from './ticks.js';

const MAX_VALUE_TICKS = 5;
/** Between an axis and its labels, and around them. In pixels. */
const LABEL_GAP = 12;
const MIN_VALUE_AXIS_WIDTH = 46;
const MIN_RIGHT_PADDING = 12;

/** Returns the ticks of the horizontal axis. */
export type StepTicks = (plot: uPlot, axis: number, low: number, high: number) => number[];

/** Returns the axes of a chart: steps at the bottom, values at the left. */
export function chartAxes(
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
    values: (_: uPlot, ticks: number[]) => tickLabels(ticks)
  };
  return [
    { ...axis, grid: { show: false }, splits: stepTicks, size: 26 },
    {
      ...axis,
      grid: { stroke: line, width: 1, filter },
      splits: (_, _axis, low, high) => (isLog ? logTicks : niceTicks)(low, high, MAX_VALUE_TICKS),
      size: (plot, labels: string[] | null) =>
        Math.max(MIN_VALUE_AXIS_WIDTH, widestLabel(plot, font, labels ?? []) + LABEL_GAP)
    }
  ];
}

/** Returns the padding at the right, which holds half of the last step's label. In pixels. */
export function rightPadding(plot: uPlot, font: string, stepTicks: StepTicks): number {
  const { min, max } = plot.scales.x ?? {};
  const ticks = min == null || max == null ? [] : stepTicks(plot, 0, min, max);
  return Math.max(MIN_RIGHT_PADDING, Math.ceil(widestLabel(plot, font, tickLabels(ticks)) / 2) + 2);
}

/** Returns the width of the widest label, in pixels. */
function widestLabel(plot: uPlot, font: string, labels: readonly string[]): number {
  plot.ctx.save();
  plot.ctx.font = font;
  const widths = labels.map(text => plot.ctx.measureText(text).width);
  plot.ctx.restore();
  return Math.max(0, ...widths);
}
