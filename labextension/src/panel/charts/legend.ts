/**
 * The legend of a chart: a mark, a name and a value for each series.
 */
import type { IMetricGroup, Value } from '../../protocol/types.js';
import { element, setText } from '../dom.js';
import type { ILook } from './series.js';
import { valueText } from '../format.js';

/** Rebuilt when the series are others; its values change in place. */
export class Legend {
  readonly node = element('span', 'jt-Legend');
  private _values: HTMLElement[] = [];

  /** Names the series of a group. */
  build(group: IMetricGroup, looks: readonly ILook[]): void {
    this._values = group.series.map(() => element('b', 'jt-Value'));
    const parent = group.series.findIndex(one => one.role === 'parent');
    this.node.replaceChildren(
      ...group.series.map((one, index) => {
        const item = element('span', 'jt-LegendItem');
        const name = one.role === 'other' && one.name !== group.name ? one.name : one.role;
        item.append(markOf(looks[index]), element('span', '', name === 'other' ? '' : name));
        if (one.role !== 'parent') {
          item.append(this._values[index] ?? '');
        } else if (index !== parent) {
          item.style.display = 'none'; // one word stands for all curves of the run this one was forked from
        }
        return item;
      })
    );
  }

  /** Shows a value for each series. */
  show(values: readonly Value[]): void {
    this._values.forEach((node, place) => setText(node, valueText(values[place] ?? null)));
  }
}

function markOf(look: ILook | undefined): HTMLElement {
  const mark = element('i', 'jt-Mark');
  if (look !== undefined) {
    mark.style.borderTop = `2px ${look.dash.length > 0 ? 'dashed' : 'solid'} ${look.colour}`;
  }
  return mark;
}
