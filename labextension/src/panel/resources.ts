/**
 * The use of the machine: a value and a sparkline each for processor, memory and GPU.
 */
import type { IResources, Value } from '../protocol/types.js';
import { element, setText } from './dom.js';
import { gigabytesText, percentText } from './format.js';
import { Sparkline } from './charts/sparkline.js';

const STRIPS: [keyof IResources, string, (value: number) => string][] = [
  ['cpuPercent', 'CPU', percentText],
  ['memoryGb', 'memory', gigabytesText],
  ['gpuPercent', 'GPU', percentText],
  ['gpuMemoryGb', 'GPU memory', gigabytesText]
];

/** A line of strips; hidden while nothing was measured. */
export class Resources {
  readonly node = element('div', 'jt-Resources');
  private readonly _strips = STRIPS.map(([name, label, format]) => new Strip(name, label, format));

  constructor() {
    this.node.append(...this._strips.map(strip => strip.node));
  }

  /** Shows what was measured. */
  update(resources: IResources): void {
    const visible = this._strips.filter(strip => strip.update(resources[strip.name]));
    this.node.hidden = visible.length === 0;
  }
}

class Strip {
  readonly node = element('div', 'jt-Strip');
  private readonly _value = element('b', '');
  private readonly _spark = new Sparkline(60, 14);

  constructor(
    readonly name: keyof IResources,
    label: string,
    private readonly _format: (value: number) => string
  ) {
    this.node.append(element('span', 'jt-Label', label), this._value, this._spark.node);
  }

  /** Shows the newest value; returns whether there is one. */
  update(column: Value[]): boolean {
    const values = column.filter(value => value !== null);
    const last = values[values.length - 1];
    this.node.hidden = last === undefined;
    if (last !== undefined) {
      setText(this._value, this._format(last));
      this._spark.show(values, 0);
    }
    return last !== undefined;
  }
}
