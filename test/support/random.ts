// Seeded random numbers for simulations: the same seed always gives the same numbers.

/** Uniform numbers between 0 and 1, both exclusive, with 32 random bits. */
export function uniforms(seed: number): () => number {
  const bits = randomBits(seed);
  return () => (bits() + 0.5) / 2 ** 32;
}

/** xoshiro128** by Blackman and Vigna (prng.di.unimi.it), its state filled by Steele's splitmix32; 32 bits a call. */
export function randomBits(seed: number): () => number {
  let filler = seed;
  const fill = () => {
    filler = (filler + 0x9e3779b9) | 0;
    let bits = filler ^ (filler >>> 16);
    bits = Math.imul(bits, 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    return bits ^ (bits >>> 15);
  };
  let [a, b, c, d] = [fill(), fill(), fill(), fill()];
  const rotate = (bits: number, by: number) => (bits << by) | (bits >>> (32 - by));
  return () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result >>> 0;
  };
}

/** Standard normal numbers, by the polar method of Marsaglia and Bray (1964). */
export function normals(uniform: () => number): () => number {
  let spare: number | null = null;
  return () => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    for (;;) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      spare = y * factor;
      return x * factor;
    }
  };
}

/** Numbers of successes in `trials` with the probability `rate` of each, by inversion of the distribution function. */
export function binomials(trials: number, rate: number, uniform: () => number): () => number {
  // From the most likely number outwards, relative to its probability: that of 0 successes may underflow.
  const weights = new Array<number>(trials + 1).fill(0);
  const mode = Math.min(trials, Math.floor((trials + 1) * rate));
  const odds = rate / (1 - rate);
  weights[mode] = 1;
  for (let k = mode; k < trials; k += 1) weights[k + 1] = ((weights[k] ?? 0) * (trials - k) * odds) / (k + 1);
  for (let k = mode; k > 0; k -= 1) weights[k - 1] = ((weights[k] ?? 0) * k) / ((trials - k + 1) * odds);
  let sum = 0;
  const cumulative = weights.map((weight) => {
    sum += weight;
    return sum;
  });
  return () => {
    const target = uniform() * sum;
    let [low, high] = [0, trials];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? sum) < target) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
