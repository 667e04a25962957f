/**
 * What an axis of the objective leaves out: the worst trials, where they would press the good ones together.
 */
import { valueText } from '../format.js';

/** Of so many trials or more, so large a share may lie beyond the end of the axis. */
const FEWEST_TO_CUT = 10;
const WORST_SHARE = 0.2;
/** Only where they would make the axis so many times as long. */
const WORTH_IT = 2;

/** Values as an axis takes them. */
export interface IReadable {
  /** Those beyond the end stand at it. */
  values: (number | null)[];
  /** Whether a value lies beyond the end. */
  isBeyond: boolean[];
  /** How many, and beyond what; empty where there are none. */
  words: string;
}

/** Values, the worst few of them at the end of the axis where they lie far from all others. */
export function readable(values: readonly (number | null)[], mode: 'min' | 'max'): IReadable {
  const sign = mode === 'max' ? 1 : -1;
  const edge = edgeOf(values, sign);
  const isBeyond = values.map(
    value => value !== null && edge !== null && sign * (value - edge) < 0
  );
  const count = isBeyond.filter(Boolean).length;
  const side = mode === 'max' ? 'below' : 'above';
  return {
    values: values.map((value, place) => (isBeyond[place] ? edge : value)),
    isBeyond,
    words: count === 0 ? '' : `${count} ${side} ${valueText(edge)}`
  };
}

/** What is said beside a picture of such values. */
export function said({ words }: IReadable, how: string): string {
  return words === '' ? '' : `${words}: ${how}`;
}

/** What stands for values beyond the edge where each is a mark of its own. */
export const AS_TRIANGLES = 'triangles at the edge';

/** The worst value that is drawn where it lies; null where all are. */
function edgeOf(values: readonly (number | null)[], sign: 1 | -1): number | null {
  const known = values
    .filter((value): value is number => value !== null)
    .sort((a, b) => sign * (a - b));
  const [worst, best] = [known[0], known[known.length - 1]];
  const edge = known[Math.floor(known.length * WORST_SHARE)];
  if (
    known.length < FEWEST_TO_CUT ||
    worst === undefined ||
    best === undefined ||
    edge === undefined
  ) {
    return null;
  }
  return Math.abs(best - worst) > WORTH_IT * Math.abs(best - edge) ? edge : null;
}
