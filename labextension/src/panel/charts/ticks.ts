/**
 * Ticks of an axis and their labels: the same numbers in the live chart as in the picture (`ticks.py`).
 */

/** A tick is written to a thousandth of the gap between two of them. */
const TOLERANCE = 1e-3;
const MOST_DIGITS = 17;
/** Above, `M` stands for a million where three digits after the point are enough. */
const MILLION = 1e6;
const MOST_MILLION_DIGITS = 3;

/** At most about `most` round numbers between `low` and `high`. */
export function niceTicks(low: number, high: number, most: number): number[] {
  const raw = high / most - low / most;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step =
    [1, 2, 2.5, 5, 10].map(factor => size * factor).find(one => one >= raw * (1 - 1e-9)) ?? raw;
  const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) =>
    Number(((first + at) * step).toPrecision(15))
  );
}

/** Powers of ten between two values above 0; where there is one at most, their multiples or even steps too. */
export function logTicks(low: number, high: number, most: number): number[] {
  const powers = multiples(low, high, [1]);
  if (powers.length >= 2) {
    const every = Math.ceil(powers.length / most);
    return powers.filter((_, place) => place % every === 0);
  }
  const found = multiples(low, high, [1, 2, 5]);
  return found.length >= 2 ? found : niceTicks(low, high, most);
}

function multiples(low: number, high: number, factors: readonly number[]): number[] {
  const found: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.floor(Math.log10(high)); power++) {
    found.push(...factors.map(factor => Number(`${factor}e${power}`)));
  }
  return found.filter(tick => tick >= low && tick <= high);
}

/** The labels of an axis: each tick with as many digits as the step between them needs, and no more. */
export function tickTexts(ticks: readonly number[]): string[] {
  const sizes = ticks.map(Math.abs).filter(size => size > 0);
  if (sizes.length === 0) {
    return ticks.map(() => '0');
  }
  const [largest, least] = [Math.max(...sizes), Math.min(...sizes)];
  const gaps = ticks.slice(1).map((tick, at) => Math.abs(tick - (ticks[at] ?? 0)));
  const gap = Math.min(...gaps.filter(one => one > 0));
  const within = (Number.isFinite(gap) ? gap : largest * TOLERANCE) * TOLERANCE;
  if (largest >= 1e9 || largest < 1e-3) {
    return ticks.map(tick => inPowers(tick, within));
  }
  if (largest >= 1e3 * least && (least < 1e-3 || largest >= 1e5)) {
    // a logarithmic axis over many decades
    const isPlain = (size: number): boolean => size === 0 || (size >= 1e-3 && size < 1e5);
    return ticks.map(tick => (isPlain(Math.abs(tick)) ? plain : inPowers)(tick, within));
  }
  const inMillions = ticks.map(tick => tick / MILLION);
  if (
    largest >= MILLION &&
    inMillions.every(one => digitsOf(one, within / MILLION) <= MOST_MILLION_DIGITS)
  ) {
    return inMillions.map(one => plain(one, within / MILLION) + (one === 0 ? '' : 'M'));
  }
  return ticks.map(tick => plain(tick, within));
}

/** How many digits after the point tell a value to that closeness. */
function digitsOf(value: number, within: number): number {
  return fewest(digits => value.toFixed(digits), value, within);
}

function fewest(write: (digits: number) => string, value: number, within: number): number {
  for (let digits = 0; digits < MOST_DIGITS; digits++) {
    if (Math.abs(Number(write(digits)) - value) <= within) {
      return digits;
    }
  }
  return MOST_DIGITS;
}

function plain(value: number, within: number): string {
  const digits = digitsOf(value, within);
  const text = value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits
  });
  return text === '-0' ? '0' : text;
}

function inPowers(value: number, within: number): string {
  if (value === 0) {
    return '0';
  }
  const digits = fewest(count => value.toExponential(count), value, within);
  return value.toExponential(digits).replace('e+', 'e');
}
