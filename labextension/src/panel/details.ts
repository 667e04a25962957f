/**
 * What a panel shows when asked for more: note, options, events, log, environment. Read when it is opened.
 */
import { PageConfig, URLExt } from '@jupyterlab/coreutils';

import type { IDetails, RunSources } from '../api/sources.js';
import type { ILink } from '../protocol/types.js';
import { element, setText } from './dom.js';

/** A part that opens and closes; asks for its content each time it is opened. */
export class Details {
  readonly node = element('details', 'jt-Details');
  private readonly _body = element('div', 'jt-DetailsBody');
  private readonly _note = element('textarea', 'jt-Note');
  private readonly _said = element('span', 'jt-Label');
  private _run = '';
  private _kernel = '';

  constructor(private readonly _sources: RunSources) {
    const summary = element('summary', 'jt-DetailsSummary', 'details');
    this._note.rows = 2;
    this._note.placeholder = 'a note kept with the run';
    this._note.setAttribute('aria-label', 'note');
    this._note.addEventListener('keydown', event => event.stopPropagation());
    this._note.addEventListener('change', () => void this._keepNote());
    this._said.setAttribute('role', 'status');
    this.node.append(summary, this._body);
    this.node.addEventListener('toggle', () => void this._load());
  }

  /** Which run it speaks of. */
  update(run: string, kernel: string): void {
    this._run = run;
    this._kernel = kernel;
  }

  private async _load(): Promise<void> {
    if (!this.node.open) {
      return;
    }
    const found = await this._sources.details(this._run, this._kernel);
    if (found === null) {
      this._body.replaceChildren(element('div', 'jt-Label', 'this server does not know the run'));
      return;
    }
    this._note.value = found.note;
    setText(this._said, '');
    this._body.replaceChildren(this._note, this._said, ...partsOf(found));
  }

  private async _keepNote(): Promise<void> {
    const answer = await this._sources.note(this._run, this._kernel, this._note.value);
    setText(this._said, answer.isDone ? 'kept' : answer.message);
  }
}

function partsOf(found: IDetails): HTMLElement[] {
  const events = found.events.map(event => {
    const step = event.step === null ? '' : `step ${event.step.toLocaleString('en-US')}`;
    return [step, event.text] as [string, string];
  });
  return [
    linksOf(found.links),
    tableOf('tags', [['tags', found.tags.join(', ')]]),
    tableOf('options', Object.entries(found.config).map(shown)),
    tableOf('events', events),
    logOf(found.log),
    tableOf('environment', Object.entries(found.environment).map(shown))
  ].filter((part): part is HTMLElement => part !== null);
}

/** Where more of the run lies; a notebook opens in this application. */
function linksOf(links: ILink[]): HTMLElement | null {
  const part = tableOf(
    'links',
    links.map(link => [link.name, link.text])
  );
  links.forEach((link, index) => {
    const url = link.url || (link.path && notebookUrl(link.path));
    const cell = part?.querySelectorAll('td')[index];
    if (url !== '' && cell !== undefined) {
      const anchor = element('a', 'jt-Link', link.path || link.text);
      anchor.href = url;
      anchor.target = '_blank';
      anchor.rel = 'noopener noreferrer';
      cell.replaceChildren(anchor);
    }
  });
  return part;
}

function notebookUrl(path: string): string {
  const isLab = PageConfig.getOption('notebookPage') === '';
  const place = isLab ? 'lab/tree' : 'notebooks';
  return URLExt.join(PageConfig.getBaseUrl(), place, URLExt.encodeParts(path));
}

function shown([name, value]: [string, unknown]): [string, string] {
  return [name, wordsOf(value)];
}

/** A value as people read it: nested ones as `name value, name value`. */
function wordsOf(value: unknown): string {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value)
      .map(([name, one]) => `${name} ${wordsOf(one)}`)
      .join(', ');
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function tableOf(title: string, rows: [string, string][]): HTMLElement | null {
  rows = rows.filter(([, value]) => value !== '' && value !== '[]');
  if (rows.length === 0) {
    return null;
  }
  const part = element('section', 'jt-Part');
  const table = element('table', 'jt-Table');
  for (const [name, value] of rows) {
    const row = element('tr', '');
    const head = element('th', '', name);
    head.scope = 'row';
    row.append(head, element('td', '', value));
    table.append(row);
  }
  part.append(element('h4', 'jt-PartTitle', title), table);
  return part;
}

function logOf(text: string): HTMLElement | null {
  if (text === '') {
    return null;
  }
  const part = element('section', 'jt-Part');
  const log = element('pre', 'jt-Log', text);
  log.tabIndex = 0;
  part.append(element('h4', 'jt-PartTitle', 'log'), log);
  requestAnimationFrame(() => log.scrollTo(0, log.scrollHeight));
  return part;
}
