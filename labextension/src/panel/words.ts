/**
 * Numbers and statuses as people read them. The same rules as the static panel's.
 */
import { isAwaited, isLive, type ISnapshot, type Value } from '../protocol';

/** `0.09312` as `0.0931`, `12345` as `12,345`, `0.00003` as `3.0e-5`. */
export function valueText(value: Value): string {
  if (value === null) {
    return '–';
  }
  const size = Math.abs(value);
  if (value === 0) {
    return '0';
  }
  if (size < 1e-3 || size >= 1e7) {
    return value.toExponential(1).replace('e+', 'e');
  }
  if (Number.isInteger(value) || size >= 1000) {
    return Math.round(value).toLocaleString('en-US');
  }
  return value.toPrecision(size < 1 ? 3 : 4);
}

/** `75` as `1:15`, `3700` as `1:01:40`. */
export function durationText(seconds: Value): string {
  if (seconds === null) {
    return '–';
  }
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map(part =>
    String(part).padStart(2, '0')
  );
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${parts.join(':')}` : `${Number(parts[0])}:${parts[1] ?? '00'}`;
}

/** `1536` as `2 KB`, `3400000` as `3.4 MB`. */
export function sizeText(bytes: number): string {
  const units = ['KB', 'MB', 'GB', 'TB'];
  let [size, unit] = [bytes / 1000, 0];
  while (size >= 999.5 && unit < units.length - 1) {
    [size, unit] = [size / 1000, unit + 1];
  }
  return bytes === 0
    ? '–'
    : `${size < 9.95 && unit > 0 ? size.toFixed(1) : Math.ceil(size)} ${units[unit]}`;
}

/** `7 / 20`, or `7` when there is no known end. */
export function ofText(value: Value, total: Value): string {
  const words = [value, total].map(item => (item === null ? '' : item.toLocaleString('en-US')));
  return total === null ? (words[0] ?? '') : `${words[0]} / ${words[1]}`;
}

/**
 * The status in a word or two.
 *
 * @param isHeard - Whether something still updates the panel; else a running run `was running at …`.
 */
export function statusText(snapshot: ISnapshot, isHeard: boolean): string {
  if (isAwaited(snapshot.status) && !isHeard) {
    const when = new Date(snapshot.asOf * 1000);
    return `was ${snapshot.status} at ${when.toLocaleString([], { dateStyle: 'short', timeStyle: 'short' })}`;
  }
  if (snapshot.status === 'running') {
    const stages: Record<string, string> = {
      starting: 'starting',
      checking: 'checking validation',
      validating: 'validating'
    };
    return stages[snapshot.progress.stage] ?? 'running';
  }
  return endedText(snapshot.status, snapshot.endedWith);
}

/** A run's status, with what it ended with where that is no finite loss. */
export function endedText(status: string, endedWith: string): string {
  return endedWith === '' ? status : `${status} with ${endedWith}`;
}

/** Label and value of everything on the status line. */
export function progressWords(snapshot: ISnapshot): [string, string][] {
  const { progress, best } = snapshot;
  const words: [string, string][] = [];
  if (progress.trial !== null) {
    const unit = progress.unit === '' ? 'trials' : progress.unit;
    words.push([unit, ofText(progress.trial, progress.trials)]);
  }
  if (progress.epoch !== null) {
    words.push(['epoch', ofText(progress.epoch, progress.epochs)]);
  }
  if (progress.step !== null) {
    words.push(['step', ofText(progress.step, progress.steps)]);
  }
  if (progress.stepsPerSecond !== null && progress.stepsPerSecond > 0) {
    const rate = progress.stepsPerSecond;
    words.push(['steps/s', valueText(rate >= 10 ? Math.round(rate) : rate)]);
  }
  if (isLive(snapshot.status) && progress.etaSeconds !== null) {
    words.push(['left', durationText(progress.etaSeconds)]);
  } else if (snapshot.durationSeconds !== null && !isLive(snapshot.status)) {
    words.push(['took', durationText(snapshot.durationSeconds)]);
  }
  if (best !== null && best.std !== null) {
    words.push([best.metric, `${valueText(best.value)} ± ${valueText(best.std)}`]);
  } else if (best !== null) {
    const where = best.trial === null ? `at epoch ${best.epoch + 1}` : `in trial ${best.trial}`;
    words.push([`best ${best.metric}`, `${valueText(best.value)} ${where}`]);
  }
  return words;
}
