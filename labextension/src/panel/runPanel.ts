/**
 * The panel of a run: header, notices, charts, images. One instance lives as long as its output.
 */
import type { IThemeManager } from '@jupyterlab/apputils';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';

import type { RunSources } from '../api/sources.js';
import { asPanel, MIME_TYPE, SCHEMA } from '../protocol/guards.js';
import { isLive, isPending } from '../protocol/status.js';
import type { IMetricGroup, IReference, ISnapshot } from '../protocol/types.js';
import { RunCommands, type RunCommand } from '../tokens.js';
import { ChartGrid } from './charts/chartGrid.js';
import type { IStepWindow } from './charts/chartView.js';
import { RunControls, type Arguments } from './controls.js';
import { Details } from './details.js';
import { element, setText } from './dom.js';
import { Header } from './header.js';
import { Media } from './media.js';
import { Notices } from './notices.js';
import { FinishNotification } from './notification.js';
import { Poller, type IPollerClient } from './poller.js';
import { Resources } from './resources.js';
import type { SnapshotCache } from './snapshotCache.js';
import { StudyView } from './study/studyView.js';

/** Without an update for this long, a running run `was running at …`. */
const UPDATE_TIMEOUT_S = 40;
/** Delays between attempts to fetch the final state: a busy kernel does not always answer in time. */
const FINAL_FETCH_DELAYS_MS = [0, 1_000, 4_000, 10_000];

/** The renderer of `application/vnd.jupyter-train.run+json`; further snapshots change it in place. */
export class RunPanel extends Widget implements IRenderMime.IRenderer, IPollerClient {
  private readonly _message = element('div', 'jt-Answer');
  private readonly _notification = new FinishNotification(text => this._showMessage(text));
  private readonly _controls = new RunControls(
    (command, args) => void this._send(command, args),
    text => this._showMessage(text),
    this._notification.node
  );
  private readonly _header = new Header(this._controls.node);
  private readonly _notices = new Notices();
  private readonly _resources = new Resources();
  private readonly _media = new Media();
  private readonly _line = element('div', 'jt-Line');
  private readonly _charts = new ChartGrid(window => this._fetchWindow(window));
  private readonly _study = new StudyView({
    createPanel: (run, name) => this._createPanel(run, name),
    send: (command, args) => void this._send(command, args),
    stopTrial: run => void this._send(RunCommands.stop, {}, run),
    showMessage: text => this._showMessage(text)
  });
  private readonly _details: Details;
  private readonly _poller: Poller;
  private readonly _unsubscribe: () => void;
  private _snapshot: ISnapshot | null = null;
  private _reference: IReference | null = null;
  private _model: IRenderMime.IMimeModel | null = null;
  private _isTrusted = false;

  constructor(
    private readonly _sources: RunSources,
    private readonly _cache: SnapshotCache,
    private readonly _themes: IThemeManager | null
  ) {
    super();
    this._details = new Details(this._sources);
    this._poller = new Poller(this._sources, this);
    this._unsubscribe = this._cache.subscribe(this._onPublished);
    this.addClass('jt-Panel');
    this.node.setAttribute('role', 'group');
    this._message.setAttribute('role', 'alert');
    const foot = element('div', 'jt-Foot');
    foot.append(this._details.node, this._charts.viewBar);
    this.node.append(
      this._line,
      this._header.node,
      this._resources.node,
      this._message,
      this._notices.node,
      this._charts.node,
      this._study.node,
      this._media.node,
      foot
    );
    this._themes?.themeChanged.connect(this._onTheme, this);
  }

  /** Shows a mime bundle. */
  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this._isTrusted = model.trusted;
    this._model = model;
    const content = asPanel(model.data[MIME_TYPE]);
    if (content.kind === 'line') {
      this._showLine(content.text);
    } else if (content.kind === 'reference') {
      this._showReference(content.reference);
    } else {
      this._poller.onUpdate();
      this._show(content.snapshot);
      this._cache.publish(content.snapshot);
    }
    return Promise.resolve();
  }

  /** Releases the charts, the poller and all listeners. */
  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._poller.stop();
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

  private _showMessage(text: string): void {
    setText(this._message, text);
  }

  /** Draws the cached snapshot of a reference; without one fetches it, in a trusted notebook or on a click. */
  private _showReference(reference: IReference): void {
    this._reference = reference;
    const cached = this._cache.get(reference.run);
    if (cached !== undefined) {
      this._show(cached);
      return;
    }
    this._showLine(`${reference.ref}  ${reference.text}`);
    if (this._isTrusted) {
      this._fetchReference(reference);
    } else {
      const button = element('button', 'jt-Link', 'Show its curves');
      button.type = 'button';
      button.addEventListener('click', () => this._onReferenceClick(reference), { once: true });
      this._line.append(' ', button);
    }
  }

  private _onReferenceClick(reference: IReference): void {
    this._isTrusted = true;
    this._fetchReference(reference);
  }

  private _fetchReference(reference: IReference): void {
    this._poller.fetchSoon();
    this._poller.follow(reference.run, reference.kernel);
  }

  private _show(snapshot: ISnapshot): void {
    this._notification.update(snapshot);
    this._snapshot = snapshot;
    this.node.classList.remove('jt-mod-line');
    this.node.setAttribute('aria-label', `run ${snapshot.ref}`);
    this._header.update(snapshot, this._isCurrent(snapshot));
    this._updateControls(snapshot);
    this._resources.update(snapshot.resources);
    this._notices.update(snapshot);
    this._media.update(snapshot.media);
    this._details.update(snapshot.run, snapshot.kernel);
    this._charts.update(snapshot);
    this._study.update(snapshot.study, this._takesCommands(snapshot));
    if (isPending(snapshot.status)) {
      this._poller.follow(snapshot.run, snapshot.kernel);
    } else {
      this._poller.stop();
    }
  }

  /** Fetches the curves of a window; the panel of an untrusted notebook sends no request. */
  private async _fetchWindow(window: IStepWindow): Promise<IMetricGroup[] | null> {
    const snapshot = this._snapshot;
    if (snapshot === null || !this._isTrusted) {
      return null;
    }
    return this._sources.curves(snapshot.run, snapshot.kernel, window.first, window.last);
  }

  /** Returns the panel of another run, which draws the cached snapshot of it, or fetches one. */
  private _createPanel(run: string, name: string): RunPanel {
    const panel = new RunPanel(this._sources, this._cache, this._themes);
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

  private _isCurrent(snapshot: ISnapshot): boolean {
    return Date.now() / 1000 - snapshot.asOf < UPDATE_TIMEOUT_S;
  }

  /** Updates the controls; the panel of an untrusted notebook, and one without updates, has none. */
  private _updateControls(snapshot: ISnapshot): void {
    const isUsable = this._takesCommands(snapshot);
    this._controls.node.hidden = !isUsable;
    if (isUsable) {
      this._controls.update(snapshot);
    } else {
      this._showMessage('');
    }
  }

  private _takesCommands(snapshot: ISnapshot): boolean {
    return isLive(snapshot.status) && this._isTrusted && this._isCurrent(snapshot);
  }

  /** Sends a command to the run, or to the run of one of its trials. */
  private async _send(command: RunCommand, args: Arguments, trialRun = ''): Promise<void> {
    const snapshot = this._snapshot;
    if (snapshot === null) {
      return;
    }
    const run = trialRun === '' ? snapshot.run : trialRun;
    const answer = await this._sources.send(run, snapshot.kernel, command, args);
    this._showMessage(answer.isDone ? '' : answer.message);
  }

  /** Returns whether the panel is visible and trusted: an untrusted notebook's panel sends no request. */
  canPoll(): boolean {
    return this._isTrusted && this.isVisible && !document.hidden;
  }

  /** Shows a fetched snapshot. */
  onSnapshot(data: unknown): void {
    const content = asPanel(data);
    if (content.kind === 'run') {
      this._show(content.snapshot);
      this._cache.publish(content.snapshot);
      if (!isPending(content.snapshot.status) && this._reference === null) {
        void this._saveFinalState(content.snapshot);
      }
    }
  }

  /** Writes the final state into the document, as the kernel cannot: it is gone, or the page was loaded again. */
  private async _saveFinalState({ run, kernel }: ISnapshot): Promise<void> {
    for (const delay of FINAL_FETCH_DELAYS_MS) {
      await new Promise(resolve => window.setTimeout(resolve, delay));
      const data = await this._sources.bundle(run, kernel);
      if (this.isDisposed || this._model === null) {
        return;
      }
      if (data !== null) {
        this._model.setData({ data });
        return;
      }
    }
  }

  /** Says that the run of a reference is not known here. */
  onRunNotFound(): void {
    if (this._snapshot === null && this._reference !== null) {
      this._poller.stop();
      const { ref, text } = this._reference;
      setText(this._line, `${ref}  ${text}  (this server does not know the run)`);
    }
  }

  /** Updates what depends on the age of the snapshot. */
  onTick(): void {
    if (this._snapshot !== null) {
      this._header.update(this._snapshot, this._isCurrent(this._snapshot));
      this._updateControls(this._snapshot);
    }
  }

  private readonly _onPublished = (snapshot: ISnapshot): void => {
    const isSameRun = this._reference?.run === snapshot.run || this._snapshot?.run === snapshot.run;
    if (isSameRun && snapshot !== this._snapshot && snapshot.asOf >= (this._snapshot?.asOf ?? 0)) {
      this._poller.onUpdate();
      this._show(snapshot);
    }
  };

  private _onTheme(): void {
    // the new theme's variables hold once its style sheet is applied
    requestAnimationFrame(() => this._charts.redraw());
  }
}
