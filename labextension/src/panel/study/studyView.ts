/**
 * The study of a search in its panel: charts, controls, and a table of the trials.
 */
import { Widget } from '@lumino/widgets';

import type { IParam, IStudy } from '../../protocol/types.js';
import type { SendCommand, ShowMessage } from '../controls.js';
import { element } from '../dom.js';
import { Contour } from './contour.js';
import { AS_TRIANGLES, outlierNote } from './outliers.js';
import { ChartFrame } from './chartFrame.js';
import { drawParallelCoordinates } from './parallelCoordinates.js';
import { StudyControls } from './controls.js';
import {
  drawFront,
  drawHistory,
  drawImportance,
  drawIntermediateValues,
  drawSlice
} from './plots.js';
import { byImportance, intermediateValues, NO_TRIAL, objectiveValues } from './trials.js';
import { TrialTable } from './trialTable.js';

const MAX_SLICES = 6;

/** The panel around a study. */
export interface IStudyHost {
  /** Returns the panel of a trial's run. */
  createPanel(run: string, name: string): Widget;
  /** Sends a command to the study. */
  send: SendCommand;
  /** Stops the run of a trial. */
  stopTrial(run: string): void;
  /** Shows what is wrong with an input. */
  showMessage: ShowMessage;
}

/** The part of a panel below the header of a search. */
export class StudyView {
  readonly node = element('div', 'jt-Study');
  private readonly _curves = new ChartFrame();
  private readonly _history = new ChartFrame();
  private readonly _front = new ChartFrame();
  private readonly _importance = new ChartFrame(220);
  private readonly _parallel = new ChartFrame(220);
  private readonly _slices: ChartFrame[] = [];
  private readonly _grid = element('div', 'jt-StudyGrid');
  private readonly _sliceGrid = element('div', 'jt-StudyGrid jt-mod-small');
  private readonly _contour = new Contour();
  private readonly _controls: StudyControls;
  private readonly _table = new TrialTable(
    trial => this._onSelect(trial),
    run => this._host.stopTrial(run)
  );
  private readonly _trialHost = element('div', 'jt-TrialRun');
  private _study: IStudy | null = null;
  private _selected = NO_TRIAL;
  private _takesCommands = false;
  private _run: Widget | null = null;

  constructor(private readonly _host: IStudyHost) {
    this._controls = new StudyControls(_host.send, _host.showMessage);
    const wide = element('div', 'jt-StudyWide');
    wide.append(this._parallel.node, this._importance.node);
    this._grid.append(this._curves.node, this._history.node, this._front.node);
    this.node.append(
      this._grid,
      wide,
      this._contour.frame.node,
      this._sliceGrid,
      this._controls.node,
      this._table.node,
      this._trialHost
    );
    this.node.hidden = true;
  }

  /**
   * Shows a study; hides the view where it is null.
   *
   * @param takesCommands - Whether it runs, and its panel may send commands.
   */
  update(study: IStudy | null, takesCommands: boolean): void {
    this.node.hidden = study === null;
    this._takesCommands = takesCommands;
    if (study === null) {
      return;
    }
    this._study = study;
    this._draw(study);
  }

  /** Releases the charts and the panel of the selected trial. */
  dispose(): void {
    this._run?.dispose();
    [this._curves, this._history, this._front, this._importance, this._parallel]
      .concat([this._contour.frame])
      .concat(this._slices)
      .forEach(frame => frame.dispose());
  }

  private _draw(study: IStudy): void {
    const metric = study.objectives[0]?.metric ?? '';
    const second = study.objectives[1]?.metric ?? '';
    this._curves.update(
      `${metric} over epochs`,
      drawIntermediateValues(study, this._selected),
      legend(study)
    );
    const values = objectiveValues(study);
    this._history.update(
      `${metric} by trial`,
      drawHistory(study, this._selected),
      outlierNote(values, AS_TRIANGLES)
    );
    this._front.update(`${second} against ${metric}`, drawFront(study, this._selected));
    this._importance.update('what matters', drawImportance(study), paramNote(study));
    this._parallel.update(
      'all values together',
      drawParallelCoordinates(study, this._selected),
      joinNotes([outlierNote(values, 'lines to the edge'), paramNote(study)])
    );
    const params = byImportance(study);
    this._contour.update(study, params, this._selected);
    this._drawSlices(study, params, metric);
    this._controls.update(this._takesCommands ? study : null);
    this._table.update(study, this._selected, this._takesCommands);
  }

  private _drawSlices(study: IStudy, params: IParam[], metric: string): void {
    const note = outlierNote(objectiveValues(study), AS_TRIANGLES);
    const hasValues = study.values[0]?.some(value => value !== null) ?? false;
    const drawn = params.slice(0, hasValues ? MAX_SLICES : 0);
    while (this._slices.length < drawn.length) {
      const frame = new ChartFrame(150);
      this._slices.push(frame);
      this._sliceGrid.append(frame.node);
    }
    this._slices.forEach((frame, index) => {
      const param = drawn[index];
      const draw = param === undefined ? null : drawSlice(study, param, this._selected);
      frame.update(param === undefined ? '' : `${metric} by ${param.name}`, draw, note);
    });
  }

  private _onSelect(trial: number): void {
    const study = this._study;
    if (study === null) {
      return;
    }
    this._run?.dispose();
    this._run = null;
    this._selected = trial === this._selected ? NO_TRIAL : trial;
    const run = study.runs[study.numbers.indexOf(this._selected)] ?? '';
    if (this._selected !== NO_TRIAL && run !== '') {
      this._run = this._host.createPanel(run, `trial ${this._selected}`);
      Widget.attach(this._run, this._trialHost);
    }
    this._draw(study);
  }
}

/** Returns what the colours and dashes of the lines mean. */
function legend(study: IStudy): string {
  const drawn = study.curves.filter(curve => curve.epochs.length > 0);
  const states = new Set(drawn.map(curve => curve.state));
  const notes = [
    states.has('running') ? 'orange: running' : '',
    states.has('waiting') ? 'dashed: begins again' : '',
    states.has('infeasible') ? 'dotted: breaks a constraint' : '',
    states.has('pruned') ? 'grey: pruned' : '',
    states.has('failed') ? 'red: failed' : '',
    outlierNote(intermediateValues(study), AS_TRIANGLES)
  ];
  return joinNotes(notes);
}

/** Returns how many of the parameters are shown, where some are not. */
function paramNote(study: IStudy): string {
  const shown = study.params.length;
  return study.paramCount > shown
    ? `${shown} of ${study.paramCount} names: those that matter most`
    : '';
}

function joinNotes(notes: string[]): string {
  return notes.filter(note => note !== '').join(' · ');
}
