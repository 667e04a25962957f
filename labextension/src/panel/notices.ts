/**
 * What deserves a line: why a run failed, and what happened along the way.
 */
import type { IRunEvent, ISnapshot } from '../protocol';
import { element } from './dom';

type Kind = 'error' | 'warning' | 'note';

const WARNINGS: readonly string[] = ['nan', 'warning', 'checkpoint', 'refused', 'diverged'];
const MOST_LINES = 6;

/** The lines below the numbers; rebuilt only when they change. */
export class Notices {
  readonly node = element('div', 'jt-Notices');
  private _shown = '';

  /** Shows a snapshot's lines. */
  update(snapshot: ISnapshot): void {
    const lines = linesOf(snapshot);
    const now = JSON.stringify(lines);
    if (now === this._shown) {
      return;
    }
    this._shown = now;
    this.node.replaceChildren(
      ...lines.map(([kind, text]) => element('div', `jt-Notice jt-mod-${kind}`, text))
    );
  }
}

function linesOf(snapshot: ISnapshot): [Kind, string][] {
  const lines: [Kind, string][] = [];
  if (snapshot.message !== '') {
    const isBad = snapshot.status === 'failed' || snapshot.status === 'lost';
    const tone = snapshot.endedWith === '' ? 'note' : 'warning';
    lines.push([isBad ? 'error' : tone, snapshot.message]);
  }
  if (snapshot.degraded !== '') {
    lines.push(['warning', snapshot.degraded]);
  }
  for (const event of worthALine(snapshot.events).slice(-MOST_LINES)) {
    lines.push([WARNINGS.includes(event.kind) ? 'warning' : 'note', event.text]);
  }
  if (snapshot.hiddenSeries > 0) {
    lines.push(['note', `${snapshot.hiddenSeries} more series in run.metrics`]);
  }
  return lines;
}

/** Commands stand as marks in the charts; only the newest is also said. */
function worthALine(events: IRunEvent[]): IRunEvent[] {
  const newest = events.filter(event => event.kind === 'command').pop();
  return events.filter(event => event.kind !== 'command' || event === newest);
}
