/**
 * What the kernel sends: a bounded snapshot of a run. Nothing of it is trusted before `asSnapshot` has seen it.
 */

import { column, isRecord, list, number, text, type Unknown, type Value } from './reading.js';
import { asStudy, type IStudy } from './study.js';

export type { Value } from './reading.js';
export type { IStudy } from './study.js';

/** The mime type of a run's panel. */
export const MIME_TYPE = 'application/vnd.jupyter-train.run+json';

/** The schema this renderer knows. */
export const SCHEMA = 1;

/** A snapshot larger than this is not drawn. */
export const MOST_LETTERS = 260_000;

/** Statuses of a run. */
export type Status = 'queued' | 'running' | 'paused' | 'finished' | 'stopped' | 'failed' | 'lost';

/** Which part of the data a series was measured on. */
export type Role = 'train' | 'val' | 'test' | 'other' | 'parent';

/** One series as columns of equal length. */
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
export interface IFamily {
  name: string;
  series: ISeries[];
}

/** Where the run is. */
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

/** What the fit takes of its machine, over time; a column is empty where nothing was measured. */
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
  /** Of several fits: how far their values lie apart, one standard deviation. */
  std: Value;
}

/** Something that happened along the way. */
export interface IRunEvent {
  step: Value;
  kind: string;
  text: string;
}

/** A command, drawn where it happened. */
export interface IMark {
  step: number;
  label: string;
}

/** A logged image or figure. */
export interface IMedium {
  name: string;
  step: number;
  caption: string;
  thumbnail: string;
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
  /** Label and value of everything on the status line. */
  statusLine: [string, string][];
  statusText: string;
  /** The status in a panel that nobody updates any more. */
  statusTextLater: string;
  /** Kind and text of what deserves a line: why a run failed, and what happened along the way. */
  notices: [string, string][];
  progress: IProgress;
  resources: IResources;
  best: IBest | null;
  families: IFamily[];
  marks: IMark[];
  media: IMedium[];
  /** The trials, where the run is a search. */
  study: IStudy | null;
}

/** A second panel of a run: where the run is, not what it is. */
export interface IReference {
  run: string;
  ref: string;
  kernel: string;
  text: string;
}

/** What an output can hold. */
export type PanelContent =
  | { kind: 'line'; text: string }
  | { kind: 'reference'; reference: IReference }
  | { kind: 'run'; snapshot: ISnapshot };

/** Where more of a run lies. */
export interface ILink {
  name: string;
  text: string;
  /** Where a browser can go; empty where it cannot. */
  url: string;
  /** What the application can open, below the server's root; empty where it cannot. */
  path: string;
}

/** What a panel shows when asked for more. */
export interface IDetails {
  note: string;
  tags: string[];
  log: string;
  config: Record<string, unknown>;
  environment: Record<string, unknown>;
  events: IRunEvent[];
  links: ILink[];
}

const STATUSES: readonly string[] = [
  'queued',
  'running',
  'paused',
  'finished',
  'stopped',
  'failed',
  'lost'
];
const ROLES: readonly string[] = ['train', 'val', 'test', 'other', 'parent'];
const MOST_FAMILIES = 32;
const MOST_NOTICES = 12;
const MOST_MARKS = 64;

/** True for a status of a run. */
export function isStatus(found: unknown): found is Status {
  return typeof found === 'string' && STATUSES.includes(found);
}

/** True while a process trains the run. */
export function isLive(status: Status): boolean {
  return status === 'running' || status === 'paused';
}

/** True while a run will change by itself: it trains, or is about to. */
export function isAwaited(status: Status): boolean {
  return status === 'queued' || isLive(status);
}

/**
 * What a mime bundle's data holds; a line saying why nothing is drawn where it holds nothing good.
 *
 * @param data - Anything at all: saved notebooks come from anywhere.
 */
export function asPanel(data: unknown): PanelContent {
  if (!isRecord(data)) {
    return { kind: 'line', text: 'This panel holds no run.' };
  }
  if (data.schema !== SCHEMA) {
    const text =
      'This panel was saved by another version of jupyter_train; update it to see the run.';
    return { kind: 'line', text };
  }
  if (JSON.stringify(data).length > MOST_LETTERS) {
    return { kind: 'line', text: 'This panel is too large to be drawn.' };
  }
  if (data.status === 'loading') {
    return { kind: 'line', text: text(data.message) };
  }
  if (data.status === 'reference') {
    return { kind: 'reference', reference: asReference(data) };
  }
  if (!STATUSES.includes(text(data.status))) {
    return { kind: 'line', text: 'This panel holds no run.' };
  }
  return { kind: 'run', snapshot: asSnapshot(data, data.status as Status) };
}

/** Details as the server sends them; null for anything else. */
export function asDetails(content: unknown): IDetails | null {
  if (!isRecord(content)) {
    return null;
  }
  return {
    note: text(content.note),
    tags: list(content.tags).map(text),
    log: text(content.log),
    config: isRecord(content.config) ? content.config : {},
    environment: isRecord(content.environment) ? content.environment : {},
    events: list(content.events).map(asEvent),
    links: list(content.links).map(asLink)
  };
}

/** The families of a window as server and kernel send them; null for anything else. */
export function asCurves(content: unknown): IFamily[] | null {
  if (!isRecord(content) || !Array.isArray(content.families)) {
    return null;
  }
  return content.families.slice(0, MOST_FAMILIES).map(asFamily);
}

function asReference(data: Unknown): IReference {
  return {
    run: text(data.run),
    ref: text(data.ref),
    kernel: text(data.kernel),
    text: text(data.message)
  };
}

function asSnapshot(data: Unknown, status: Status): ISnapshot {
  return {
    run: text(data.run),
    ref: text(data.ref),
    kernel: text(data.kernel),
    status,
    message: text(data.message),
    endedWith: text(data.ended_with),
    asOf: number(data.as_of) ?? 0,
    durationSeconds: number(data.duration_s),
    data: text(data.data),
    tags: list(data.tags).map(text),
    statusLine: list(data.status_line).map(asPair),
    statusText: text(data.status_text) || status,
    statusTextLater: text(data.status_text_later) || `was ${status}`,
    progress: asProgress(data.progress),
    resources: asResources(data.resources),
    notices: noticesOf(data, status),
    best: asBest(data.best),
    families: list(data.families).slice(0, MOST_FAMILIES).map(asFamily),
    marks: list(data.marks).slice(0, MOST_MARKS).map(asMark),
    media: list(data.media).map(asMedium),
    study: asStudy(data.study)
  };
}

/** Notebooks saved by earlier versions have the message alone. */
function noticesOf(data: Unknown, status: Status): [string, string][] {
  const message = text(data.message);
  if (data.notices === undefined && message !== '') {
    return [[status === 'failed' || status === 'lost' ? 'error' : 'note', message]];
  }
  return list(data.notices).slice(0, MOST_NOTICES).map(asPair);
}

function asPair(found: unknown): [string, string] {
  const [label, value] = list(found);
  return [text(label), text(value)];
}

function asProgress(found: unknown): IProgress {
  const progress = isRecord(found) ? found : {};
  return {
    stage: text(progress.stage),
    epoch: number(progress.epoch),
    epochs: number(progress.epochs),
    step: number(progress.step),
    steps: number(progress.steps),
    trial: number(progress.trial),
    trials: number(progress.trials)
  };
}

function asResources(found: unknown): IResources {
  const resources = isRecord(found) ? found : {};
  return {
    cpuPercent: column(resources.cpu_percent),
    memoryGb: column(resources.memory_gb),
    gpuPercent: column(resources.gpu_percent),
    gpuMemoryGb: column(resources.gpu_memory_gb)
  };
}

function asBest(found: unknown): IBest | null {
  if (!isRecord(found) || typeof found.metric !== 'string') {
    return null;
  }
  return {
    metric: found.metric,
    value: number(found.value),
    epoch: number(found.epoch) ?? 0,
    step: number(found.step) ?? 0,
    trial: number(found.trial),
    std: number(found.std)
  };
}

function asFamily(found: unknown): IFamily {
  const family = isRecord(found) ? found : {};
  return { name: text(family.name), series: list(family.series).map(asSeries) };
}

function asSeries(found: unknown): ISeries {
  const series = isRecord(found) ? found : {};
  const steps = column(series.steps).map(step => step ?? 0);
  const fit = (values: Value[]): Value[] => steps.map((_, index) => values[index] ?? null);
  const [name, role] = [text(series.name), text(series.role)];
  return {
    name,
    role: ROLES.includes(role) ? (role as Role) : 'other',
    isRate: /^lr(\/|$)/.test(name),
    count: number(series.count) ?? steps.length,
    last: number(series.last),
    steps,
    values: fit(column(series.values)),
    lows: series.lows === undefined ? [] : fit(column(series.lows)),
    highs: series.highs === undefined ? [] : fit(column(series.highs))
  };
}

function asEvent(found: unknown): IRunEvent {
  const event = isRecord(found) ? found : {};
  return { step: number(event.step), kind: text(event.kind), text: text(event.text) };
}

function asLink(found: unknown): ILink {
  const link = isRecord(found) ? found : {};
  const url = text(link.url);
  return {
    name: text(link.name),
    text: text(link.text),
    url: /^https?:\/\//.test(url) ? url : '',
    path: text(link.path)
  };
}

function asMark(found: unknown): IMark {
  const mark = isRecord(found) ? found : {};
  return { step: number(mark.step) ?? 0, label: text(mark.label).slice(0, 24) };
}

function asMedium(found: unknown): IMedium {
  const medium = isRecord(found) ? found : {};
  const thumbnail = text(medium.thumbnail);
  const isPicture = /^data:image\/(png|jpeg);base64,[A-Za-z0-9+/=]*$/.test(thumbnail);
  return {
    name: text(medium.name),
    step: number(medium.step) ?? 0,
    caption: text(medium.caption),
    thumbnail: isPicture ? thumbnail : ''
  };
}
