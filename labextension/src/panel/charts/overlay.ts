/**
 * What is drawn over the curves of a chart: commands at their steps, and a ring around the best value.
 */
import type uPlot from 'uplot';

import type { IBest, IMetricGroup, IMark } from '../../protocol/types.js';
import type { ISeriesStyle } from './seriesStyle.js';

/** Draws a dashed line at the step of each command, with its label where there is room. */
export function drawMarks(
  plot: uPlot,
  marks: readonly IMark[],
  stepsPerUnit: number,
  colour: string,
  font: string
): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  let labelsEnd = -Infinity;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.fillStyle = colour;
  ctx.lineWidth = ratio;
  ctx.font = font.replace(/^\d+/, size => String(Number(size) * ratio));
  ctx.textBaseline = 'top';
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  for (const mark of marks) {
    const x = plot.valToPos(mark.step / stepsPerUnit, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) {
      continue;
    }
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const width = ctx.measureText(mark.label).width + 4 * ratio;
    const isInside = x + width < bbox.left + bbox.width;
    const from = isInside ? x + 4 * ratio : x - width;
    if (from > labelsEnd) {
      ctx.textAlign = 'left';
      ctx.fillText(mark.label, from, bbox.top);
      labelsEnd = from + width;
    }
  }
  ctx.restore();
}

/** Draws a ring around the best value, where it belongs to one of the series. */
export function ringBest(
  plot: uPlot,
  group: IMetricGroup,
  best: IBest | null,
  stepsPerUnit: number,
  styles: readonly ISeriesStyle[]
): void {
  const index = group.series.findIndex(({ name }) => name === best?.metric);
  const series = group.series[index];
  if (best === null || best.value === null || series === undefined) {
    return;
  }
  const steps = series.steps.filter(step => step <= best.step);
  const step = steps[steps.length - 1] ?? series.steps[0] ?? 0;
  const { ctx } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.strokeStyle = styles[index]?.colour ?? '';
  ctx.lineWidth = 2 * ratio;
  const x = plot.valToPos(step / stepsPerUnit, 'x', true);
  if (x >= plot.bbox.left && x <= plot.bbox.left + plot.bbox.width) {
    ctx.arc(x, plot.valToPos(best.value, 'y', true), 5.5 * ratio, 0, 2 * Math.PI);
    ctx.stroke();
  }
  ctx.restore();
}
