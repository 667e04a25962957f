/**
 * Ticks of an axis and their labels: the same in the live chart as in the saved image.
 */

/** A tick is written to a thousandth of the gap between two of them. */
const TOLERANCE = 1e-3;
const MAX_DIGITS = 17;
/** Above, `M` stands for a million where three digits after the point are enough. */
const MILLION = 1e6;
const MAX_MILLION_DIGITS = 3;

/** Returns at most about `max` round numbers between `low` and `high`. */
export function niceTicks(low: number, high: number, max: number): number[] {
  const raw = high / max - low / max;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step =
    [1, 2, 2.5, 5, 10].map(factor => size * factor).find(size => size >= raw * (1 - 1e-9)) ?? raw;
  const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) =>
    Number(((first + at) * step).toPrecision(15))
  );
}

/** Returns the powers of ten between two values above 0; where there is at most one, multiples or even steps too. */
export function logTicks(low: number, high: number, max: number): number[] {
  const powers = multiples(low, high, [1]);
  if (powers.length >= 2) {
    const every = Math.ceil(powers.length / max);
    return powers.filter((_, index) => index % every === 0);
  }
  const ticks = multiples(low, high, [1, 2, 5]);
  return ticks.length >= 2 ? ticks : niceTicks(low, high, max);
}

function multiples(low: number, high: number, factors: readonly number[]): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.floor(Math.log10(high)); power++) {
    ticks.push(...factors.map(factor => Number(`${factor}e${power}`)));
  }
  return ticks.filter(tick => tick >= low && tick <= high);
}

/** Returns the labels of an axis: each tick with as many digits as the gap between two of them needs. */
export function tickLabels(ticks: readonly number[]): string[] {
  const sizes = ticks.map(Math.abs).filter(size => size > 0);
  if (sizes.length === 0) {
    return ticks.map(() => '0');
  }
  const [largest, smallest] = [Math.max(...sizes), Math.min(...sizes)];
  const gaps = ticks.slice(1).map((tick, at) => Math.abs(tick - (ticks[at] ?? 0)));
  const gap = Math.min(...gaps.filter(size => size > 0));
  const tolerance = (Number.isFinite(gap) ? gap : largest * TOLERANCE) * TOLERANCE;
  if (largest >= 1e9 || largest < 1e-3) {
    return ticks.map(tick => exponentLabel(tick, tolerance));
  }
  if (largest >= 1e3 * smallest && (smallest < 1e-3 || largest >= 1e5)) {
    // a logarithmic axis over many decades
    const isPlain = (size: number): boolean => size === 0 || (size >= 1e-3 && size < 1e5);
    return ticks.map(tick =>
      (isPlain(Math.abs(tick)) ? plainLabel : exponentLabel)(tick, tolerance)
    );
  }
  const inMillions = ticks.map(tick => tick / MILLION);
  if (
    largest >= MILLION &&
    inMillions.every(value => digitsOf(value, tolerance / MILLION) <= MAX_MILLION_DIGITS)
  ) {
    return inMillions.map(
      value => plainLabel(value, tolerance / MILLION) + (value === 0 ? '' : 'M')
    );
  }
  return ticks.map(tick => plainLabel(tick, tolerance));
}

/** Returns how many digits after the point write a value to a tolerance. */
function digitsOf(value: number, tolerance: number): number {
  return fewestDigits(digits => value.toFixed(digits), value, tolerance);
}

function fewestDigits(write: (digits: number) => string, value: number, tolerance: number): number {
  for (let digits = 0; digits < MAX_DIGITS; digits++) {
    if (Math.abs(Number(write(digits)) - value) <= tolerance) {
      return digits;
    }
  }
  return MAX_DIGITS;
}

function plainLabel(value: number, tolerance: number): string {
  const digits = digitsOf(value, tolerance);
  const text = value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits
  });
  return text === '-0' ? '0' : text;
}

function exponentLabel(value: number, tolerance: number): string {
  if (value === 0) {
    return '0';
  }
  const digits = fewestDigits(count => value.toExponential(count), value, tolerance);
  return value.toExponential(digits).replace('e+', 'e');
}
