/**
 * The panel of a run: header, notices, charts, pictures. One instance lives as long as its output.
 */
import type { IThemeManager } from '@jupyterlab/apputils';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';
import uPlot from 'uplot';

import type { KernelLink } from '../api';
import { asSnapshot, isLive, MIME_TYPE, type IFamily, type ISnapshot } from '../protocol';
import { Chart } from './chart';
import { element, setText } from './dom';
import { Header } from './header';
import { Media } from './media';
import { Notices } from './notices';

const LEASE_MS = 5_000;
/** Without news for this long, a running run `was running at …`. */
const SILENCE_S = 40;

let panels = 0;

/** Draws `application/vnd.jupyter-train.run+json`; further snapshots change it in place. */
export class RunPanel extends Widget implements IRenderMime.IRenderer {
  private readonly _header = new Header();
  private readonly _notices = new Notices();
  private readonly _media = new Media();
  private readonly _grid = element('div', 'jt-Charts');
  private readonly _line = element('div', 'jt-Line');
  private readonly _charts = new Map<string, Chart>();
  private readonly _sync = uPlot.sync(`jupyter-train-${panels++}`);
  private _snapshot: ISnapshot | null = null;
  private _isTrusted = false;
  private _timer: number | null = null;

  constructor(
    private readonly _kernels: KernelLink,
    private readonly _themes: IThemeManager | null
  ) {
    super();
    this.addClass('jt-Panel');
    this.node.setAttribute('role', 'group');
    const parts = [this._header, this._notices].map(part => part.node);
    this.node.append(this._line, ...parts, this._grid, this._media.node);
    this._themes?.themeChanged.connect(this._onTheme, this);
  }

  /** Shows a bundle's snapshot. */
  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this._isTrusted = model.trusted;
    const found = asSnapshot(model.data[MIME_TYPE]);
    if (typeof found === 'string') {
      this._showLine(found);
    } else if (found.status === 'loading') {
      this._showLine(found.message);
    } else {
      this._show(found);
    }
    return Promise.resolve();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._stopLease();
    this._themes?.themeChanged.disconnect(this._onTheme, this);
    this._charts.forEach(chart => chart.dispose());
    this._charts.clear();
    super.dispose();
  }

  private _showLine(text: string): void {
    this.node.classList.add('jt-mod-line');
    setText(this._line, text);
  }

  private _show(snapshot: ISnapshot): void {
    this._snapshot = snapshot;
    this.node.classList.remove('jt-mod-line');
    this.node.setAttribute('aria-label', `run ${snapshot.ref}`);
    this._header.update(snapshot, this._isHeard(snapshot));
    this._notices.update(snapshot);
    this._media.update(snapshot.media);
    this._showCharts(snapshot.families.filter(isWorthAChart));
    if (isLive(snapshot.status) && snapshot.kernel !== '') {
      this._startLease();
    } else {
      this._stopLease();
    }
  }

  private _showCharts(families: IFamily[]): void {
    const names = new Set(families.map(family => family.name));
    for (const [name, chart] of this._charts) {
      if (!names.has(name)) {
        chart.node.remove();
        chart.dispose();
        this._charts.delete(name);
      }
    }
    for (const family of families) {
      this._chart(family.name).update(family, this._snapshot?.best ?? null);
    }
  }

  private _chart(name: string): Chart {
    const known = this._charts.get(name);
    if (known !== undefined) {
      return known;
    }
    const chart = new Chart(this._sync);
    this._charts.set(name, chart);
    this._grid.append(chart.node);
    return chart;
  }

  private _isHeard(snapshot: ISnapshot): boolean {
    return Date.now() / 1000 - snapshot.asOf < SILENCE_S;
  }

  // -- watching ---------------------------------------------------------------------------------

  private _startLease(): void {
    if (this._timer === null) {
      this._timer = window.setInterval(this._renewLease, LEASE_MS);
      this._renewLease();
    }
  }

  private _stopLease(): void {
    if (this._timer !== null) {
      window.clearInterval(this._timer);
      this._timer = null;
    }
  }

  /** Tells the kernel that somebody looks; an untrusted notebook's panel tells nobody anything. */
  private readonly _renewLease = (): void => {
    const snapshot = this._snapshot;
    if (snapshot === null) {
      return;
    }
    this._header.update(snapshot, this._isHeard(snapshot));
    if (this._isTrusted && this.isVisible && !document.hidden) {
      this._kernels.watch(snapshot.kernel, snapshot.run);
    }
  };

  private _onTheme(): void {
    // the new theme's variables hold once its style sheet is applied
    requestAnimationFrame(() => this._charts.forEach(chart => chart.redraw()));
  }
}

/** A learning rate that never changed needs no chart. */
function isWorthAChart(family: IFamily): boolean {
  const isConstant =
    /^lr(\b|_)/.test(family.name) && family.series.every(one => one.steps.length < 2);
  return !isConstant && family.series.some(one => one.values.some(value => value !== null));
}
