/**
 * The trials of a search, as the kernel sends them: columns of equal length, one place a trial.
 */
import { column, isRecord, list, number, text, type Value } from './reading.js';

/** How a trial ended, or that it runs. */
export type TrialState = 'complete' | 'infeasible' | 'pruned' | 'failed' | 'running' | 'waiting';

/** What is searched for. */
export interface IObjective {
  metric: string;
  mode: 'min' | 'max';
}

/** A searched name and its value in every trial: a number, or a place among the labels. */
export interface IParam {
  name: string;
  labels: string[];
  isLog: boolean;
  values: Value[];
  /** Ends of the range as it is searched now; null for choices. */
  low: number | null;
  high: number | null;
}

/** The objective of one trial over its epochs. */
export interface ITrialCurve {
  trial: number;
  state: TrialState;
  epochs: number[];
  values: Value[];
}

/** How much of the objective a name explains. */
export interface IShare {
  name: string;
  share: number;
}

/** All of it. */
export interface IStudy {
  objectives: IObjective[];
  numbers: number[];
  states: TrialState[];
  /** One column for each objective. */
  values: Value[][];
  seconds: Value[];
  runs: string[];
  /** What is searched; where that is much, what matters most. */
  params: IParam[];
  /** How many names are searched. */
  names: number;
  curves: ITrialCurve[];
  importance: IShare[];
  /** Trials on the Pareto front, where there are several objectives. */
  front: number[];
}

const STATES: Record<string, TrialState> = {
  c: 'complete',
  i: 'infeasible',
  p: 'pruned',
  f: 'failed',
  r: 'running',
  w: 'waiting'
};
const MOST_PARAMS = 12;
const MOST_CURVES = 80;
const MOST_OBJECTIVES = 3;

/** A study; null for anything else. */
export function asStudy(found: unknown): IStudy | null {
  if (!isRecord(found)) {
    return null;
  }
  const objectives = list(found.objectives).slice(0, MOST_OBJECTIVES).map(asObjective);
  const numbers = column(found.numbers).map(value => value ?? 0);
  if (objectives.length === 0) {
    return null;
  }
  const fit = (values: Value[]): Value[] => numbers.map((_, place) => values[place] ?? null);
  const letters = text(found.states);
  const runs = text(found.runs).split(',');
  const columns = list(found.values);
  return {
    objectives,
    numbers,
    states: numbers.map((_, place) => STATES[letters[place] ?? ''] ?? 'failed'),
    values: objectives.map((_, place) => fit(column(columns[place]))),
    seconds: fit(column(found.seconds)),
    runs: numbers.map((_, place) => runs[place] ?? ''),
    params: list(found.params)
      .slice(0, MOST_PARAMS)
      .map(one => asParam(one, fit)),
    names: number(found.names) ?? list(found.params).length,
    curves: list(found.curves).slice(0, MOST_CURVES).map(asCurve),
    importance: list(found.importance).slice(0, MOST_PARAMS).map(asShare),
    front: column(found.front).map(value => value ?? 0)
  };
}

function asObjective(found: unknown): IObjective {
  const objective = isRecord(found) ? found : {};
  return { metric: text(objective.metric), mode: objective.mode === 'min' ? 'min' : 'max' };
}

function asParam(found: unknown, fit: (values: Value[]) => Value[]): IParam {
  const param = isRecord(found) ? found : {};
  return {
    name: text(param.name),
    labels: list(param.labels).map(text),
    isLog: param.is_log === true,
    values: fit(column(param.values)),
    low: number(param.low),
    high: number(param.high)
  };
}

function asCurve(found: unknown): ITrialCurve {
  const curve = isRecord(found) ? found : {};
  const epochs = column(curve.epochs).map(epoch => epoch ?? 0);
  const values = column(curve.values);
  return {
    trial: number(curve.trial) ?? 0,
    state: STATES[text(curve.state)] ?? 'failed',
    epochs,
    values: epochs.map((_, place) => values[place] ?? null)
  };
}

function asShare(found: unknown): IShare {
  const share = isRecord(found) ? found : {};
  return { name: text(share.name), share: Math.min(1, Math.max(0, number(share.share) ?? 0)) };
}
