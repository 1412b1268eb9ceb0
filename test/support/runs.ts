/** Returns how often a property test runs, as a multiple of the usual number. RUNS=10 tests ten times as many cases. */
export function runs(usual: number): number {
  return Math.ceil(usual * Number(process.env["RUNS"] ?? 1));
}
