/** The sizes, set by arguments: `npm run bench -- --only query --events 2000000 --turns 3`. */
export type Sizes = {
  turns: number;
  /** The duration of each measurement of requests per second. */
  seconds: number;
  events: number;
  identities: number;
  /** The number of running experiments in a sweep. */
  experiments: number;
  /** The number of rows from the warehouse. */
  rows: number;
};
