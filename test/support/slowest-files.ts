import type { Reporter, TestModule } from "vitest/node";

const SHOWN = 20;

/** Prints the slowest test files: `npm test -- --reporter=default --reporter=./test/support/slowest-files.ts`. */
export default class SlowestFiles implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const files = modules.map((module) => {
      const { collectDuration, setupDuration, duration } = module.diagnostic();
      const seconds = (collectDuration + setupDuration + duration) / 1000;
      return { seconds, name: `${module.project.name} ${module.relativeModuleId}` };
    });
    files.sort((a, b) => b.seconds - a.seconds);
    for (const { seconds, name } of files.slice(0, SHOWN)) console.log(`${seconds.toFixed(1).padStart(7)} s  ${name}`);
  }
}
