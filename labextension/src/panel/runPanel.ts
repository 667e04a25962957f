/**
 * The panel of a run: header, notices, charts, pictures. One instance lives as long as its output.
 */
import type { IThemeManager } from '@jupyterlab/apputils';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';

import type { RunSources } from '../api/sources.js';
import { asPanel, MIME_TYPE, SCHEMA } from '../protocol/guards.js';
import { isPending, isLive } from '../protocol/status.js';
import type { IMetricGroup, IReference, ISnapshot } from '../protocol/types.js';
import { Bell } from './notification.js';
import { ChartGrid } from './charts/chartGrid.js';
import { Controls, type Arguments } from './controls.js';
import { Details } from './details.js';
import { element, setText } from './dom.js';
import { Header } from './header.js';
import { Media } from './media.js';
import { Notices } from './notices.js';
import { Resources } from './resources.js';
import type { SharedRuns } from './snapshotCache.js';
import { StudyView } from './study/studyView.js';
import type { IWindow } from './charts/chartView.js';
import { Watch, type IWatched } from './poller.js';

/** Without news for this long, a running run `was running at …`. */
const SILENCE_S = 40;
/** The last state of a run is asked for until somebody has it: a busy kernel does not always answer in time. */
const KEEP_AFTER_MS = [0, 1_000, 4_000, 10_000];

/** Draws `application/vnd.jupyter-train.run+json`; further snapshots change it in place. */
export class RunPanel extends Widget implements IRenderMime.IRenderer, IWatched {
  private readonly _answer = element('div', 'jt-Answer');
  private readonly _bell = new Bell(text => setText(this._answer, text));
  private readonly _controls = new Controls(
    (verb, given) => void this._tell(verb, given),
    text => setText(this._answer, text),
    this._bell.node
  );
  private readonly _header = new Header(this._controls.node);
  private readonly _notices = new Notices();
  private readonly _resources = new Resources();
  private readonly _media = new Media();
  private readonly _line = element('div', 'jt-Line');
  private readonly _charts = new ChartGrid(window => this._askWindow(window));
  private readonly _study = new StudyView({
    open: (run, name) => this._panelOf(run, name),
    tell: (verb, given) => void this._tell(verb, given),
    stopTrial: run => void this._tell('stop', {}, run),
    say: text => setText(this._answer, text)
  });
  private readonly _details: Details;
  private readonly _watch: Watch;
  private readonly _unsubscribe: () => void;
  private _snapshot: ISnapshot | null = null;
  private _reference: IReference | null = null;
  private _model: IRenderMime.IMimeModel | null = null;
  private _isTrusted = false;

  constructor(
    private readonly _sources: RunSources,
    private readonly _shared: SharedRuns,
    private readonly _themes: IThemeManager | null
  ) {
    super();
    this._details = new Details(this._sources);
    this._watch = new Watch(this._sources, this);
    this._unsubscribe = this._shared.subscribe(this._onShared);
    this.addClass('jt-Panel');
    this.node.setAttribute('role', 'group');
    this._answer.setAttribute('role', 'alert');
    const foot = element('div', 'jt-Foot');
    foot.append(this._details.node, this._charts.bar);
    this.node.append(
      this._line,
      this._header.node,
      this._resources.node,
      this._answer,
      this._notices.node,
      this._charts.node,
      this._study.node,
      this._media.node,
      foot
    );
    this._themes?.themeChanged.connect(this._onTheme, this);
  }

  /** Shows a bundle. */
  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this._isTrusted = model.trusted;
    this._model = model;
    const content = asPanel(model.data[MIME_TYPE]);
    if (content.kind === 'line') {
      this._showLine(content.text);
    } else if (content.kind === 'reference') {
      this._showReference(content.reference);
    } else {
      this._watch.heard();
      this._show(content.snapshot);
      this._shared.publish(content.snapshot);
    }
    return Promise.resolve();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._watch.stop();
    this._unsubscribe();
    this._themes?.themeChanged.disconnect(this._onTheme, this);
    this._charts.dispose();
    this._study.dispose();
    super.dispose();
  }

  private _showLine(text: string): void {
    this.node.classList.add('jt-mod-line');
    setText(this._line, text);
  }

  /** A second panel of a run draws what the first one knows; else it asks, in a trusted notebook or on a click. */
  private _showReference(reference: IReference): void {
    this._reference = reference;
    const known = this._shared.get(reference.run);
    if (known !== undefined) {
      this._show(known);
      return;
    }
    this._showLine(`${reference.ref}  ${reference.text}`);
    if (this._isTrusted) {
      this._askForReference(reference);
    } else {
      const button = element('button', 'jt-Link', 'Show its curves');
      button.type = 'button';
      button.addEventListener('click', () => this._onAskedFor(reference), { once: true });
      this._line.append(' ', button);
    }
  }

  private _onAskedFor(reference: IReference): void {
    this._isTrusted = true;
    this._askForReference(reference);
  }

  private _askForReference(reference: IReference): void {
    this._watch.askSoon();
    this._watch.follow(reference.run, reference.kernel);
  }

  private _show(snapshot: ISnapshot): void {
    this._bell.update(snapshot);
    this._snapshot = snapshot;
    this.node.classList.remove('jt-mod-line');
    this.node.setAttribute('aria-label', `run ${snapshot.ref}`);
    this._header.update(snapshot, this._isHeard(snapshot));
    this._updateControls(snapshot);
    this._resources.update(snapshot.resources);
    this._notices.update(snapshot);
    this._media.update(snapshot.media);
    this._details.update(snapshot.run, snapshot.kernel);
    this._charts.update(snapshot);
    this._study.update(snapshot.study, this._isSteered(snapshot));
    if (isPending(snapshot.status)) {
      this._watch.follow(snapshot.run, snapshot.kernel);
    } else {
      this._watch.stop();
    }
  }

  /** An untrusted notebook's panel asks nobody: it magnifies what it has. */
  private async _askWindow(window: IWindow): Promise<IMetricGroup[] | null> {
    const snapshot = this._snapshot;
    if (snapshot === null || !this._isTrusted) {
      return null;
    }
    return this._sources.curves(snapshot.run, snapshot.kernel, window.first, window.last);
  }

  /** The panel of another run, which draws what somebody here knows of it, or asks. */
  private _panelOf(run: string, name: string): RunPanel {
    const panel = new RunPanel(this._sources, this._shared, this._themes);
    const reference = {
      schema: SCHEMA,
      status: 'reference',
      run,
      ref: name,
      kernel: this._snapshot?.kernel ?? '',
      message: ''
    };
    void panel.renderModel({
      trusted: this._isTrusted,
      data: { [MIME_TYPE]: reference },
      metadata: {},
      setData: () => undefined
    });
    return panel;
  }

  private _isHeard(snapshot: ISnapshot): boolean {
    return Date.now() / 1000 - snapshot.asOf < SILENCE_S;
  }

  // -- steering ---------------------------------------------------------------------------------

  /** An untrusted notebook's panel, and one that nobody updates, has no buttons. */
  private _updateControls(snapshot: ISnapshot): void {
    const isUsable = this._isSteered(snapshot);
    this._controls.node.hidden = !isUsable;
    if (isUsable) {
      this._controls.update(snapshot);
    } else {
      setText(this._answer, '');
    }
  }

  private _isSteered(snapshot: ISnapshot): boolean {
    return isLive(snapshot.status) && this._isTrusted && this._isHeard(snapshot);
  }

  /** Asks the run, or one of its parts, for something. */
  private async _tell(command: string, given: Arguments, part = ''): Promise<void> {
    const snapshot = this._snapshot;
    if (snapshot === null) {
      return;
    }
    const run = part === '' ? snapshot.run : part;
    const answer = await this._sources.tell(run, snapshot.kernel, command, given);
    setText(this._answer, answer.isDone ? '' : answer.message);
  }

  // -- watching ---------------------------------------------------------------------------------

  /** An untrusted notebook's panel tells nobody anything. */
  isLooking(): boolean {
    return this._isTrusted && this.isVisible && !document.hidden;
  }

  onAnswer(data: unknown): void {
    const content = asPanel(data);
    if (content.kind === 'run') {
      this._show(content.snapshot);
      this._shared.publish(content.snapshot);
      if (!isPending(content.snapshot.status) && this._reference === null) {
        void this._keep(content.snapshot);
      }
    }
  }

  /** Writes the last state into the document: the kernel that would have done it is gone, or was reloaded away. */
  private async _keep({ run, kernel }: ISnapshot): Promise<void> {
    for (const wait of KEEP_AFTER_MS) {
      await new Promise(resolve => window.setTimeout(resolve, wait));
      const data = await this._sources.final(run, kernel);
      if (this.isDisposed || this._model === null) {
        return;
      }
      if (data !== null) {
        this._model.setData({ data });
        return;
      }
    }
  }

  onNobody(): void {
    if (this._snapshot === null && this._reference !== null) {
      this._watch.stop();
      setText(
        this._line,
        `${this._reference.ref}  ${this._reference.text}  (this server does not know the run)`
      );
    }
  }

  onTime(): void {
    if (this._snapshot !== null) {
      this._header.update(this._snapshot, this._isHeard(this._snapshot));
      this._updateControls(this._snapshot);
    }
  }

  private readonly _onShared = (snapshot: ISnapshot): void => {
    const isOurs = this._reference?.run === snapshot.run || this._snapshot?.run === snapshot.run;
    if (isOurs && snapshot !== this._snapshot && snapshot.asOf >= (this._snapshot?.asOf ?? 0)) {
      this._watch.heard();
      this._show(snapshot);
    }
  };

  private _onTheme(): void {
    // the new theme's variables hold once its style sheet is applied
    requestAnimationFrame(() => this._charts.redraw());
  }
}
