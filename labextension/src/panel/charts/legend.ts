/**
 * The legend of a chart: a mark, a name and a value for each series.
 */
import type { IMetricGroup, Value } from '../../protocol/types.js';
import { element, setText } from '../dom.js';
import type { ISeriesStyle } from './seriesStyle.js';
import { valueText } from '../format.js';

/** A legend; its values change in place. */
export class Legend {
  readonly node = element('span', 'jt-Legend');
  private _values: HTMLElement[] = [];

  /** Names the series of a group. */
  build(group: IMetricGroup, styles: readonly ISeriesStyle[]): void {
    this._values = group.series.map(() => element('b', 'jt-Value'));
    const firstParent = group.series.findIndex(series => series.role === 'parent');
    this.node.replaceChildren(
      ...group.series.map((series, index) => {
        const item = element('span', 'jt-LegendItem');
        const name =
          series.role === 'other' && series.name !== group.name ? series.name : series.role;
        item.append(lineSample(styles[index]), element('span', '', name === 'other' ? '' : name));
        if (series.role !== 'parent') {
          item.append(this._values[index] ?? '');
        } else if (index !== firstParent) {
          item.style.display = 'none'; // one item stands for all curves of the run that this one was forked from
        }
        return item;
      })
    );
  }

  /** Shows a value for each series. */
  show(values: readonly Value[]): void {
    this._values.forEach((node, index) => setText(node, valueText(values[index] ?? null)));
  }
}

function lineSample(style: ISeriesStyle | undefined): HTMLElement {
  const mark = element('i', 'jt-Mark');
  if (style !== undefined) {
    mark.style.borderTop = `2px ${style.dash.length > 0 ? 'dashed' : 'solid'} ${style.colour}`;
  }
  return mark;
}
