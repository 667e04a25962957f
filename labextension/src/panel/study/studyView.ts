/**
 * A search in its panel: trials as live curves, one after the other, by their values, and as a table.
 */
import { Widget } from '@lumino/widgets';

import type { IParam, IStudy } from '../../protocol/types.js';
import type { Say, Tell } from '../controls.js';
import { element } from '../dom.js';
import { Contour } from './contour.js';
import { AS_TRIANGLES, said } from './outliers.js';
import { Figure } from './chartFrame.js';
import { parallel } from './parallelCoordinates.js';
import { ByHand } from './controls.js';
import { curveValues, curves, front, history, importance, objective, slice } from './plots.js';
import { TrialTable } from './trialTable.js';

const MOST_SLICES = 6;
const NONE = -1;

/** What a study needs of the panel around it. */
export interface IStudyHost {
  /** Makes the panel of a trial's run. */
  open(run: string, name: string): Widget;
  /** Carries a command to the study. */
  tell: Tell;
  /** Stops the run of a trial. */
  stopTrial(run: string): void;
  /** Says what is wrong with something typed. */
  say: Say;
}

/** Everything a panel shows of a study, below its header. */
export class StudyView {
  readonly node = element('div', 'jt-Study');
  private readonly _curves = new Figure();
  private readonly _history = new Figure();
  private readonly _front = new Figure();
  private readonly _importance = new Figure(220);
  private readonly _parallel = new Figure(220);
  private readonly _slices: Figure[] = [];
  private readonly _grid = element('div', 'jt-StudyGrid');
  private readonly _sliceGrid = element('div', 'jt-StudyGrid jt-mod-small');
  private readonly _contour = new Contour();
  private readonly _hand: ByHand;
  private readonly _table = new TrialTable(
    trial => this._onChosen(trial),
    run => this._host.stopTrial(run)
  );
  private readonly _place = element('div', 'jt-TrialRun');
  private _study: IStudy | null = null;
  private _chosen = NONE;
  private _isSteered = false;
  private _run: Widget | null = null;

  constructor(private readonly _host: IStudyHost) {
    this._hand = new ByHand(_host.tell, _host.say);
    const wide = element('div', 'jt-StudyWide');
    wide.append(this._parallel.node, this._importance.node);
    this._grid.append(this._curves.node, this._history.node, this._front.node);
    this.node.append(
      this._grid,
      wide,
      this._contour.figure.node,
      this._sliceGrid,
      this._hand.node,
      this._table.node,
      this._place
    );
    this.node.hidden = true;
  }

  /**
   * Shows a study; nothing where there is none.
   *
   * @param isSteered - Whether it runs, and can be told something from here.
   */
  update(study: IStudy | null, isSteered: boolean): void {
    this.node.hidden = study === null;
    this._isSteered = isSteered;
    if (study === null) {
      return;
    }
    this._study = study;
    this._draw(study);
  }

  dispose(): void {
    this._run?.dispose();
    [this._curves, this._history, this._front, this._importance, this._parallel]
      .concat([this._contour.figure])
      .concat(this._slices)
      .forEach(figure => figure.dispose());
  }

  private _draw(study: IStudy): void {
    const metric = study.objectives[0]?.metric ?? '';
    const second = study.objectives[1]?.metric ?? '';
    this._curves.update(`${metric} over epochs`, curves(study, this._chosen), legend(study));
    const told = objective(study);
    this._history.update(
      `${metric} by trial`,
      history(study, this._chosen),
      said(told, AS_TRIANGLES)
    );
    this._front.update(`${second} against ${metric}`, front(study, this._chosen));
    this._importance.update('what matters', importance(study), unshown(study));
    this._parallel.update(
      'all values together',
      parallel(study, this._chosen),
      together([said(told, 'lines to the edge'), unshown(study)])
    );
    const weighed = byWeight(study);
    this._contour.update(study, weighed, this._chosen);
    this._drawSlices(study, weighed, metric);
    this._hand.update(this._isSteered ? study : null);
    this._table.update(study, this._chosen, this._isSteered);
  }

  private _drawSlices(study: IStudy, weighed: IParam[], metric: string): void {
    const words = said(objective(study), AS_TRIANGLES);
    const isTold = study.values[0]?.some(value => value !== null) ?? false;
    const params = weighed.slice(0, isTold ? MOST_SLICES : 0);
    while (this._slices.length < params.length) {
      const figure = new Figure(150);
      this._slices.push(figure);
      this._sliceGrid.append(figure.node);
    }
    this._slices.forEach((figure, place) => {
      const param = params[place];
      const draw = param === undefined ? null : slice(study, param, this._chosen);
      figure.update(param === undefined ? '' : `${metric} by ${param.name}`, draw, words);
    });
  }

  private _onChosen(trial: number): void {
    const study = this._study;
    if (study === null) {
      return;
    }
    this._run?.dispose();
    this._run = null;
    this._chosen = trial === this._chosen ? NONE : trial;
    const run = study.runs[study.numbers.indexOf(this._chosen)] ?? '';
    if (this._chosen !== NONE && run !== '') {
      this._run = this._host.open(run, `trial ${this._chosen}`);
      Widget.attach(this._run, this._place);
    }
    this._draw(study);
  }
}

/** What is searched, the most important first. */
function byWeight(study: IStudy): IParam[] {
  const weight = new Map(study.importance.map(({ name, share }) => [name, share]));
  return [...study.params].sort((a, b) => (weight.get(b.name) ?? 0) - (weight.get(a.name) ?? 0));
}

/** What the colours of the lines stand for, where there is more than one. */
function legend(study: IStudy): string {
  const drawn = study.curves.filter(curve => curve.epochs.length > 0);
  const states = new Set(drawn.map(curve => curve.state));
  const words = [
    states.has('running') ? 'orange: running' : '',
    states.has('waiting') ? 'dashed: begins again' : '',
    states.has('infeasible') ? 'dotted: breaks a constraint' : '',
    states.has('pruned') ? 'grey: pruned' : '',
    states.has('failed') ? 'red: failed' : '',
    said(curveValues(study), AS_TRIANGLES)
  ];
  return together(words);
}

/** How many of the names are not shown, where there are many. */
function unshown(study: IStudy): string {
  const shown = study.params.length;
  return study.paramCount > shown
    ? `${shown} of ${study.paramCount} names: those that matter most`
    : '';
}

function together(words: string[]): string {
  return words.filter(word => word !== '').join(' · ');
}
