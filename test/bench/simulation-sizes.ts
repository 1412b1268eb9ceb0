/** The sizes, set by arguments: `npm run simulate -- --only results --experiments 200`. */
export type SimulationSizes = {
  seed: number;
  experiments: number;
};
