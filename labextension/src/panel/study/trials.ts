/**
 * The trials of a study: their ranking, their order in the table, and their values as text.
 */
import type { IParam, IStudy, TrialState } from '../../protocol/types.js';
import { durationText, valueText } from '../format.js';
import { clipOutliers, type IClippedValues } from './outliers.js';

/** The number of the selected trial; `NO_TRIAL` for none. */
export type SelectedTrial = number;

/** No trial is selected. */
export const NO_TRIAL = -1;

/** Returns a trial's values as text: `trial 3 (complete) · val_acc 0.93 · lr 0.01 · activation relu`. */
export function trialText(study: IStudy, index: number): string {
  const parts = [`trial ${study.numbers[index]} (${study.states[index]})`];
  study.objectives.forEach(({ metric }, objective) => {
    const value = study.values[objective]?.[index] ?? null;
    if (value !== null) {
      parts.push(`${metric} ${valueText(value)}`);
    }
  });
  study.params.forEach(param => parts.push(`${param.name} ${paramText(param, index)}`));
  return parts.join(' · ');
}

/** Returns the value of a parameter in a trial as text. */
export function paramText(param: IParam, index: number): string {
  const value = param.values[index] ?? null;
  return param.labels.length > 0 && value !== null
    ? (param.labels[value] ?? '–')
    : valueText(value);
}

/** Returns the duration of a trial as text: `4.2 s`, `1:15`. */
export function trialDurationText(seconds: number | null): string {
  return seconds !== null && seconds < 10 ? `${seconds.toFixed(1)} s` : durationText(seconds);
}

/** Returns the indexes of the complete trials, the best first. */
export function ranking(study: IStudy): number[] {
  const values = study.values[0] ?? [];
  const sign = modeOf(study) === 'min' ? 1 : -1;
  return indexesOf(study, 'complete')
    .filter(index => (values[index] ?? null) !== null)
    .sort((a, b) => sign * ((values[a] ?? 0) - (values[b] ?? 0)) || a - b);
}

/** Returns the indexes of the trials: running, waiting, complete by rank, infeasible, and the others, newest first. */
export function tableOrder(study: IStudy): number[] {
  const ended = [...indexesOf(study, 'pruned'), ...indexesOf(study, 'failed')];
  return [
    ...indexesOf(study, 'running'),
    ...indexesOf(study, 'waiting'),
    ...ranking(study),
    ...indexesOf(study, 'infeasible'),
    ...ended.sort((a, b) => b - a)
  ];
}

function indexesOf(study: IStudy, state: TrialState): number[] {
  return study.numbers.map((_, index) => index).filter(index => study.states[index] === state);
}

/** Returns the values of the first objective, outliers clipped. */
export function objectiveValues(study: IStudy): IClippedValues {
  return clipOutliers(study.values[0] ?? [], modeOf(study));
}

/** Returns the intermediate values of all trials, one after the other, outliers clipped. */
export function intermediateValues(study: IStudy): IClippedValues {
  return clipOutliers(
    study.curves.flatMap(curve => curve.values),
    modeOf(study)
  );
}

/** Returns the direction of the first objective. */
export function modeOf(study: IStudy): 'min' | 'max' {
  return study.objectives[0]?.mode ?? 'max';
}

/** Returns the parameters, the most important first. */
export function byImportance(study: IStudy): IParam[] {
  const share = new Map(study.importance.map(item => [item.name, item.share]));
  return [...study.params].sort((a, b) => (share.get(b.name) ?? 0) - (share.get(a.name) ?? 0));
}
