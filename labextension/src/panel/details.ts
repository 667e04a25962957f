/**
 * The details of a run: note, options, events, log, environment. Fetched when they are opened.
 */
import { PageConfig, URLExt } from '@jupyterlab/coreutils';

import type { RunSources } from '../api/sources.js';
import type { IDetails, ILink } from '../protocol/types.js';
import { element, setText } from './dom.js';

/** A disclosure element; fetches the details each time it is opened. */
export class Details {
  readonly node = element('details', 'jt-Details');
  private readonly _body = element('div', 'jt-DetailsBody');
  private readonly _note = element('textarea', 'jt-Note');
  private readonly _noteStatus = element('span', 'jt-Label');
  private _run = '';
  private _kernel = '';

  constructor(private readonly _sources: RunSources) {
    const summary = element('summary', 'jt-DetailsSummary', 'details');
    this._note.rows = 2;
    this._note.placeholder = 'a note kept with the run';
    this._note.setAttribute('aria-label', 'note');
    this._note.addEventListener('keydown', event => event.stopPropagation());
    this._note.addEventListener('change', () => void this._saveNote());
    this._noteStatus.setAttribute('role', 'status');
    this.node.append(summary, this._body);
    this.node.addEventListener('toggle', () => void this._load());
  }

  /** Sets the run. */
  update(run: string, kernel: string): void {
    this._run = run;
    this._kernel = kernel;
  }

  private async _load(): Promise<void> {
    if (!this.node.open) {
      return;
    }
    const details = await this._sources.details(this._run, this._kernel);
    if (details === null) {
      this._body.replaceChildren(element('div', 'jt-Label', 'this server does not know the run'));
      return;
    }
    this._note.value = details.note;
    setText(this._noteStatus, '');
    this._body.replaceChildren(this._note, this._noteStatus, ...sectionsOf(details));
  }

  private async _saveNote(): Promise<void> {
    const answer = await this._sources.saveNote(this._run, this._kernel, this._note.value);
    setText(this._noteStatus, answer.isDone ? 'kept' : answer.message);
  }
}

function sectionsOf(details: IDetails): HTMLElement[] {
  const events = details.events.map(event => {
    const step = event.step === null ? '' : `step ${event.step.toLocaleString('en-US')}`;
    return [step, event.text] as [string, string];
  });
  return [
    linksSection(details.links),
    tableSection('tags', [['tags', details.tags.join(', ')]]),
    tableSection('options', Object.entries(details.config).map(asTextPair)),
    tableSection('events', events),
    logSection(details.log),
    tableSection('environment', Object.entries(details.environment).map(asTextPair))
  ].filter((section): section is HTMLElement => section !== null);
}

/** Returns the links; a notebook opens in this application. */
function linksSection(links: ILink[]): HTMLElement | null {
  const section = tableSection(
    'links',
    links.map(link => [link.name, link.text])
  );
  links.forEach((link, index) => {
    const url = link.url || (link.path && notebookUrl(link.path));
    const cell = section?.querySelectorAll('td')[index];
    if (url !== '' && cell !== undefined) {
      const anchor = element('a', 'jt-Link', link.path || link.text);
      anchor.href = url;
      anchor.target = '_blank';
      anchor.rel = 'noopener noreferrer';
      cell.replaceChildren(anchor);
    }
  });
  return section;
}

function notebookUrl(path: string): string {
  const isLab = PageConfig.getOption('notebookPage') === '';
  const page = isLab ? 'lab/tree' : 'notebooks';
  return URLExt.join(PageConfig.getBaseUrl(), page, URLExt.encodeParts(path));
}

function asTextPair([name, value]: [string, unknown]): [string, string] {
  return [name, textOf(value)];
}

/** Returns a value as text: nested ones as `name value, name value`. */
function textOf(value: unknown): string {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value)
      .map(([name, item]) => `${name} ${textOf(item)}`)
      .join(', ');
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function tableSection(title: string, rows: [string, string][]): HTMLElement | null {
  rows = rows.filter(([, value]) => value !== '' && value !== '[]');
  if (rows.length === 0) {
    return null;
  }
  const section = element('section', 'jt-Part');
  const table = element('table', 'jt-Table');
  for (const [name, value] of rows) {
    const row = element('tr', '');
    const head = element('th', '', name);
    head.scope = 'row';
    row.append(head, element('td', '', value));
    table.append(row);
  }
  section.append(element('h4', 'jt-PartTitle', title), table);
  return section;
}

function logSection(text: string): HTMLElement | null {
  if (text === '') {
    return null;
  }
  const section = element('section', 'jt-Part');
  const log = element('pre', 'jt-Log', text);
  log.tabIndex = 0;
  section.append(element('h4', 'jt-PartTitle', 'log'), log);
  requestAnimationFrame(() => log.scrollTo(0, log.scrollHeight));
  return section;
}
