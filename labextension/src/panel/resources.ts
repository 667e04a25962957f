/**
 * What the run takes of its machine: a value and a small curve each for processor, memory and GPU.
 */
import type { IResources, Value } from '../protocol/types.js';
import { element, setText } from './dom.js';
import { Spark } from './charts/sparkline.js';

const STRIPS: [keyof IResources, string, (value: number) => string][] = [
  ['cpuPercent', 'CPU', percent],
  ['memoryGb', 'memory', gigabytes],
  ['gpuPercent', 'GPU', percent],
  ['gpuMemoryGb', 'GPU memory', gigabytes]
];

/** A line of strips; hidden while nothing was measured. */
export class Resources {
  readonly node = element('div', 'jt-Resources');
  private readonly _strips = STRIPS.map(([name, label, words]) => new Strip(name, label, words));

  constructor() {
    this.node.append(...this._strips.map(strip => strip.node));
  }

  /** Shows what was measured. */
  update(resources: IResources): void {
    const shown = this._strips.filter(strip => strip.update(resources[strip.name]));
    this.node.hidden = shown.length === 0;
  }
}

class Strip {
  readonly node = element('div', 'jt-Strip');
  private readonly _value = element('b', '');
  private readonly _spark = new Spark(60, 14);

  constructor(
    readonly name: keyof IResources,
    label: string,
    private readonly _words: (value: number) => string
  ) {
    this.node.append(element('span', 'jt-Label', label), this._value, this._spark.node);
  }

  /** @returns whether there is anything to see. */
  update(column: Value[]): boolean {
    const values = column.filter(value => value !== null);
    const last = values[values.length - 1];
    this.node.hidden = last === undefined;
    if (last !== undefined) {
      setText(this._value, this._words(last));
      this._spark.show(values, 0);
    }
    return last !== undefined;
  }
}

function percent(value: number): string {
  return `${Math.round(value)} %`;
}

function gigabytes(value: number): string {
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} GB`;
}
