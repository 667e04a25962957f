/**
 * Type guards for the trials of a search, which are sent as columns of equal length, one item a trial.
 */
import { asColumn, asList, asNumber, asRecord, asText, isRecord, type Value } from './json.js';
import type {
  IObjective,
  IParam,
  IParamImportance,
  IStudy,
  ITrialCurve,
  TrialState
} from './types.js';

const STATES: Record<string, TrialState> = {
  c: 'complete',
  i: 'infeasible',
  p: 'pruned',
  f: 'failed',
  r: 'running',
  w: 'waiting'
};
const MAX_PARAMS = 12;
const MAX_CURVES = 80;
const MAX_OBJECTIVES = 3;

/** Returns a study; null for anything without an objective. */
export function asStudy(json: unknown): IStudy | null {
  if (!isRecord(json)) {
    return null;
  }
  const objectives = asList(json.objectives).slice(0, MAX_OBJECTIVES).map(asObjective);
  const numbers = asColumn(json.numbers).map(value => value ?? 0);
  if (objectives.length === 0) {
    return null;
  }
  const perTrial = (values: Value[]): Value[] => numbers.map((_, index) => values[index] ?? null);
  const states = asText(json.states);
  const runs = asText(json.runs).split(',');
  const values = asList(json.values);
  return {
    objectives,
    numbers,
    states: numbers.map((_, index) => STATES[states[index] ?? ''] ?? 'failed'),
    values: objectives.map((_, index) => perTrial(asColumn(values[index]))),
    seconds: perTrial(asColumn(json.seconds)),
    runs: numbers.map((_, index) => runs[index] ?? ''),
    params: asList(json.params)
      .slice(0, MAX_PARAMS)
      .map(param => asParam(param, perTrial)),
    paramCount: asNumber(json.names) ?? asList(json.params).length,
    curves: asList(json.curves).slice(0, MAX_CURVES).map(asCurve),
    importance: asList(json.importance).slice(0, MAX_PARAMS).map(asImportance),
    front: asColumn(json.front).map(value => value ?? 0)
  };
}

function asObjective(json: unknown): IObjective {
  const objective = asRecord(json);
  return { metric: asText(objective.metric), mode: objective.mode === 'min' ? 'min' : 'max' };
}

function asParam(json: unknown, perTrial: (values: Value[]) => Value[]): IParam {
  const param = asRecord(json);
  return {
    name: asText(param.name),
    labels: asList(param.labels).map(label => asText(label)),
    isLog: param.is_log === true,
    values: perTrial(asColumn(param.values)),
    low: asNumber(param.low),
    high: asNumber(param.high)
  };
}

function asCurve(json: unknown): ITrialCurve {
  const curve = asRecord(json);
  const epochs = asColumn(curve.epochs).map(epoch => epoch ?? 0);
  const values = asColumn(curve.values);
  return {
    trial: asNumber(curve.trial) ?? 0,
    state: STATES[asText(curve.state)] ?? 'failed',
    epochs,
    values: epochs.map((_, index) => values[index] ?? null)
  };
}

function asImportance(json: unknown): IParamImportance {
  const importance = asRecord(json);
  return {
    name: asText(importance.name),
    share: Math.min(1, Math.max(0, asNumber(importance.share) ?? 0))
  };
}
