/**
 * Type guards for what the kernel sends. A saved notebook comes from anywhere, so nothing of it is trusted.
 */
import { asColumn, asList, asNumber, asRecord, asText, isRecord, type Value } from './json.js';
import type { JsonObject } from './json.js';
import { isStatus, type Status } from './status.js';
import { asStudy } from './studyGuards.js';
import {
  ROLES,
  type IBest,
  type IDetails,
  type ILink,
  type IMark,
  type IMediaItem,
  type IMetricGroup,
  type IProgress,
  type IReference,
  type IResources,
  type IRunEvent,
  type ISeries,
  type ISnapshot,
  type IStatusPart,
  type PanelContent
} from './types.js';

/** The mime type of a run's panel. */
export const MIME_TYPE = 'application/vnd.jupyter-train.run+json';

/** The version of the schema that this renderer reads. */
export const SCHEMA = 1;

/** A snapshot with more characters is not drawn. */
export const MAX_CHARACTERS = 260_000;

const MAX_METRIC_GROUPS = 32;
const MAX_NOTICES = 12;
const MAX_MARKS = 64;
const MAX_MARK_LABEL = 24;

/**
 * Returns what a mime bundle's data holds; a line saying why nothing is drawn where it holds no run.
 *
 * @param data - Any JSON.
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
  if (JSON.stringify(data).length > MAX_CHARACTERS) {
    return { kind: 'line', text: 'This panel is too large to be drawn.' };
  }
  if (data.status === 'loading') {
    return { kind: 'line', text: asText(data.message) };
  }
  if (data.status === 'reference') {
    return { kind: 'reference', reference: asReference(data) };
  }
  if (!isStatus(data.status)) {
    return { kind: 'line', text: 'This panel holds no run.' };
  }
  return { kind: 'run', snapshot: asSnapshot(data, data.status) };
}

/** Returns a run's details; null for anything that is not an object. */
export function asDetails(details: unknown): IDetails | null {
  if (!isRecord(details)) {
    return null;
  }
  return {
    note: asText(details.note),
    tags: asList(details.tags).map(tag => asText(tag)),
    log: asText(details.log),
    config: asRecord(details.config),
    environment: asRecord(details.environment),
    events: asList(details.events).map(asEvent),
    links: asList(details.links).map(asLink)
  };
}

/** Returns the metric groups of a window of steps; null where there is no list of them. */
export function asCurves(json: unknown): IMetricGroup[] | null {
  return isRecord(json) && Array.isArray(json.families) ? asMetricGroups(json.families) : null;
}

function asReference(data: JsonObject): IReference {
  return {
    run: asText(data.run),
    ref: asText(data.ref),
    kernel: asText(data.kernel),
    text: asText(data.message)
  };
}

function asSnapshot(data: JsonObject, status: Status): ISnapshot {
  return {
    run: asText(data.run),
    ref: asText(data.ref),
    kernel: asText(data.kernel),
    status,
    message: asText(data.message),
    endedWith: asText(data.ended_with),
    asOf: asNumber(data.as_of) ?? 0,
    durationSeconds: asNumber(data.duration_s),
    data: asText(data.data),
    tags: asList(data.tags).map(tag => asText(tag)),
    statusLine: asList(data.status_line).map(asStatusPart),
    statusText: asText(data.status_text) || status,
    statusTextLater: asText(data.status_text_later) || `was ${status}`,
    progress: asProgress(data.progress),
    resources: asResources(data.resources),
    notices: asNotices(data, status),
    best: asBest(data.best),
    metricGroups: asMetricGroups(data.families),
    marks: asList(data.marks).slice(0, MAX_MARKS).map(asMark),
    media: asList(data.media).map(asMediaItem),
    study: asStudy(data.study)
  };
}

/** Returns the notices; notebooks saved by earlier versions have the message alone. */
function asNotices(data: JsonObject, status: Status): [string, string][] {
  const message = asText(data.message);
  if (data.notices === undefined && message !== '') {
    return [[status === 'failed' || status === 'lost' ? 'error' : 'note', message]];
  }
  return asList(data.notices).slice(0, MAX_NOTICES).map(asPair);
}

function asStatusPart(json: unknown): IStatusPart {
  const [label, value, kind] = asList(json);
  return { label: asText(label), value: asText(value), kind: asText(kind) };
}

function asPair(json: unknown): [string, string] {
  const [first, second] = asList(json);
  return [asText(first), asText(second)];
}

function asProgress(json: unknown): IProgress {
  const progress = asRecord(json);
  return {
    stage: asText(progress.stage),
    epoch: asNumber(progress.epoch),
    epochs: asNumber(progress.epochs),
    step: asNumber(progress.step),
    steps: asNumber(progress.steps),
    trial: asNumber(progress.trial),
    trials: asNumber(progress.trials)
  };
}

function asResources(json: unknown): IResources {
  const resources = asRecord(json);
  return {
    cpuPercent: asColumn(resources.cpu_percent),
    memoryGb: asColumn(resources.memory_gb),
    gpuPercent: asColumn(resources.gpu_percent),
    gpuMemoryGb: asColumn(resources.gpu_memory_gb)
  };
}

function asBest(json: unknown): IBest | null {
  const best = asRecord(json);
  if (typeof best.metric !== 'string') {
    return null;
  }
  return {
    metric: best.metric,
    value: asNumber(best.value),
    epoch: asNumber(best.epoch) ?? 0,
    step: asNumber(best.step) ?? 0,
    trial: asNumber(best.trial),
    std: asNumber(best.std)
  };
}

function asMetricGroups(json: unknown): IMetricGroup[] {
  return asList(json).slice(0, MAX_METRIC_GROUPS).map(asMetricGroup);
}

function asMetricGroup(json: unknown): IMetricGroup {
  const group = asRecord(json);
  return { name: asText(group.name), series: asList(group.series).map(asSeries) };
}

function asSeries(json: unknown): ISeries {
  const series = asRecord(json);
  const steps = asColumn(series.steps).map(step => step ?? 0);
  const perStep = (values: Value[]): Value[] => steps.map((_, index) => values[index] ?? null);
  const name = asText(series.name);
  return {
    name,
    role: ROLES.find(role => role === series.role) ?? 'other',
    isRate: /^lr(\/|$)/.test(name),
    count: asNumber(series.count) ?? steps.length,
    last: asNumber(series.last),
    steps,
    values: perStep(asColumn(series.values)),
    lows: series.lows === undefined ? [] : perStep(asColumn(series.lows)),
    highs: series.highs === undefined ? [] : perStep(asColumn(series.highs))
  };
}

function asEvent(json: unknown): IRunEvent {
  const event = asRecord(json);
  return { step: asNumber(event.step), kind: asText(event.kind), text: asText(event.text) };
}

function asLink(json: unknown): ILink {
  const link = asRecord(json);
  const url = asText(link.url);
  return {
    name: asText(link.name),
    text: asText(link.text),
    url: /^https?:\/\//.test(url) ? url : '',
    path: asText(link.path)
  };
}

function asMark(json: unknown): IMark {
  const mark = asRecord(json);
  return { step: asNumber(mark.step) ?? 0, label: asText(mark.label, MAX_MARK_LABEL) };
}

function asMediaItem(json: unknown): IMediaItem {
  const item = asRecord(json);
  const thumbnail = asText(item.thumbnail);
  const isImage = /^data:image\/(png|jpeg);base64,[A-Za-z0-9+/=]*$/.test(thumbnail);
  return {
    name: asText(item.name),
    step: asNumber(item.step) ?? 0,
    caption: asText(item.caption),
    thumbnail: isImage ? thumbnail : ''
  };
}
