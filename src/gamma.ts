// The parts of the gamma function behind the statistical tests. Differences of ln Γ would cancel: at a million
// identities, their eighth digit is wrong. Stirling's error and the deviance avoid that. Source: Catherine Loader, "Fast
// and Accurate Computation of Binomial Probabilities" (2000), which R's dbinom and dpois also use.

/**
 * Stirling's error: ln Γ(z) − ((z − ½) ln z − z + ½ ln 2π), for z > 0. The series is cut off after six terms, with an
 * error below 2e-18 before rounding. Source: DLMF 5.11.1 for z >= 16, and the recurrence 5.5.1 for smaller z.
 */
export function stirlingError(z: number): number {
  let error = 0;
  let large = z;
  for (; large < 16; large += 1) error += (large + 0.5) * Math.log1p(1 / large) - 1;
  const square = 1 / (large * large);
  const series =
    1 / 12 -
    square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square * (1 / 1188 - square * (691 / 360_360)))));
  return error + series / large;
}

/**
 * The deviance x ln(x / mean) + mean − x, for x and mean > 0. Where both are close, Loader's series keeps the digits that
 * the formula would cancel. Source: Loader (2000), there D0 and in R's source bd0.
 */
export function deviance(x: number, mean: number): number {
  const sum = x + mean;
  const difference = x - mean;
  if (Math.abs(difference) >= 0.1 * sum) return x * Math.log(x / mean) - difference;
  const ratio = difference / sum;
  let term = 2 * x * ratio;
  let result = difference * ratio;
  for (let divisor = 3; ; divisor += 2) {
    term *= ratio * ratio;
    const next = result + term / divisor;
    // `===` would never end the loop for NaN.
    if (Object.is(next, result)) return result;
    result = next;
  }
}

/**
 * The regularised upper incomplete gamma function Q(a, x) = Γ(a, x) / Γ(a), for a > 0 and finite x >= 0. The relative
 * error is below 1e-12, unless the result is a subnormal number or 0. Source: DLMF 8.2.4.
 */
export function upperGamma(a: number, x: number): number {
  // x^a e^−x / Γ(a + 1)
  const factor = Math.exp(-stirlingError(a) - deviance(a, x)) / Math.sqrt(2 * Math.PI * a);
  return x < a + 1 ? 1 - factor * lowerSeries(a, x) : factor * a * upperFraction(a, x);
}

/** The series 1 + x/(a+1) + x²/((a+1)(a+2)) + …, for x < a + 1. Source: DLMF 8.11.4. */
function lowerSeries(a: number, x: number): number {
  let term = 1;
  let sum = 1;
  for (let n = a + 1; term > sum * Number.EPSILON; n += 1) {
    term *= x / n;
    sum += term;
  }
  return sum;
}

/**
 * The continued fraction 1/(x+1−a − 1(1−a)/(x+3−a − 2(2−a)/(x+5−a − …))) by Lentz's method, for x >= a + 1. Source: the even
 * part of DLMF 8.9.2.
 */
function upperFraction(a: number, x: number): number {
  let b = x + 1 - a;
  let c = Number.POSITIVE_INFINITY;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; ; n += 1) {
    const numerator = -n * (n - a);
    b += 2;
    d = 1 / (numerator * d + b);
    c = b + numerator / c;
    fraction *= c * d;
    // The negated comparison also ends the loop for NaN.
    if (!(Math.abs(c * d - 1) > 2 * Number.EPSILON)) return fraction;
  }
}
