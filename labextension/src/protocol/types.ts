/**
 * What the kernel and the server send, as the guards return it.
 */
import type { Value } from './json.js';
import type { Status } from './status.js';

export type { Value } from './json.js';

/** All roles. */
export const ROLES = ['train', 'val', 'test', 'other', 'parent'] as const;

/** The part of the data that a series was measured on; `parent` for the run that this one was forked from. */
export type Role = (typeof ROLES)[number];

/** A series as columns of equal length. */
export interface ISeries {
  name: string;
  role: Role;
  /** Learning rates hold until they change. */
  isRate: boolean;
  count: number;
  last: Value;
  steps: number[];
  values: Value[];
  lows: Value[];
  highs: Value[];
}

/** Series that share an axis. */
export interface IMetricGroup {
  name: string;
  series: ISeries[];
}

/** How far the run is. */
export interface IProgress {
  stage: string;
  epoch: Value;
  epochs: Value;
  step: Value;
  steps: Value;
  /** Of a search, or of several fits: how many have ended. */
  trial: Value;
  trials: Value;
}

/** Use of the machine over time; a column is empty where nothing was measured. */
export interface IResources {
  cpuPercent: Value[];
  memoryGb: Value[];
  gpuPercent: Value[];
  gpuMemoryGb: Value[];
}

/** The best epoch so far. */
export interface IBest {
  metric: string;
  value: Value;
  epoch: number;
  step: number;
  /** Of a search: which trial it is. */
  trial: Value;
  /** Of several fits: the standard deviation of their values. */
  std: Value;
}

/** An event of the run. */
export interface IRunEvent {
  step: Value;
  kind: string;
  text: string;
}

/** A command, drawn at its step. */
export interface IMark {
  step: number;
  label: string;
}

/** A logged image or figure. */
export interface IMediaItem {
  name: string;
  step: number;
  caption: string;
  thumbnail: string;
}

/** A part of the status line, worded by Python. */
export interface IStatusPart {
  /** Placed before the value; empty where the value says what it is. */
  label: string;
  value: string;
  /** What the part says, such as `epochs` or `best`; empty in notebooks saved by earlier versions. */
  kind: string;
}

/** A run as it stood at `asOf` (Unix time in seconds). */
export interface ISnapshot {
  run: string;
  ref: string;
  kernel: string;
  status: Status;
  message: string;
  /** `NaN` or `inf` where the run ended with no finite loss, though it did not fail; else empty. */
  endedWith: string;
  asOf: number;
  durationSeconds: Value;
  data: string;
  tags: string[];
  statusLine: IStatusPart[];
  statusText: string;
  /** The status in a panel that is no longer updated. */
  statusTextLater: string;
  /** Kind and text of each notice: why a run failed, and what happened along the way. */
  notices: [string, string][];
  progress: IProgress;
  resources: IResources;
  best: IBest | null;
  metricGroups: IMetricGroup[];
  marks: IMark[];
  media: IMediaItem[];
  /** The trials, where the run is a search. */
  study: IStudy | null;
}

/** A second panel of a run: it names the run and holds no curves. */
export interface IReference {
  run: string;
  ref: string;
  kernel: string;
  text: string;
}

/** The content of an output. */
export type PanelContent =
  | { kind: 'line'; text: string }
  | { kind: 'reference'; reference: IReference }
  | { kind: 'run'; snapshot: ISnapshot };

/** A link to more of a run. */
export interface ILink {
  name: string;
  text: string;
  /** An address for a browser; empty where there is none. */
  url: string;
  /** A file that the application can open, below the server's root; empty where there is none. */
  path: string;
}

/** What a panel shows in its opened details. */
export interface IDetails {
  note: string;
  tags: string[];
  log: string;
  config: Record<string, unknown>;
  environment: Record<string, unknown>;
  events: IRunEvent[];
  links: ILink[];
}

/** The state of a trial. */
export type TrialState = 'complete' | 'infeasible' | 'pruned' | 'failed' | 'running' | 'waiting';

/** An objective of a search. */
export interface IObjective {
  metric: string;
  mode: 'min' | 'max';
}

/** A searched parameter and its value in every trial: a number, or an index into the labels. */
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

/** The share of the objective's variance that a parameter explains. */
export interface IParamImportance {
  name: string;
  share: number;
}

/** The trials of a search, as columns of one item a trial. */
export interface IStudy {
  objectives: IObjective[];
  numbers: number[];
  states: TrialState[];
  /** One column for each objective. */
  values: Value[][];
  seconds: Value[];
  runs: string[];
  /** The searched parameters; where there are many, the most important ones. */
  params: IParam[];
  /** How many parameters are searched. */
  paramCount: number;
  curves: ITrialCurve[];
  importance: IParamImportance[];
  /** Trials on the Pareto front, where there are several objectives. */
  front: number[];
}

/** A row of the list of runs. */
export interface IRunRow {
  key: string;
  ref: string;
  status: Status;
  /** The status, worded by Python: `running, 7 of 30 epochs`. */
  statusText: string;
  /** `NaN` or `inf` where the run ended with no finite loss, though it did not fail; else empty. */
  endedWith: string;
  kind: string;
  metric: string;
  best: Value;
  isMaximized: boolean;
  trail: number[];
  createdAt: number;
  durationSeconds: Value;
  sizeBytes: number;
  tags: string[];
  /** Relative to the server's root; empty when it lies outside, or is not known. */
  notebook: string;
  cell: string;
}

/** A message of the stream. */
export interface IRunChanges {
  runs: IRunRow[];
  gone: string[];
  /** Why there are none; else empty. */
  message: string;
}
