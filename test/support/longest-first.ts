import { BaseSequencer, type TestSpecification } from "vitest/node";

const PROJECTS = ["engine", "workerd", "deno", "unit"];

/** The slowest files, slowest first. A slow file that starts last would prolong the whole run. */
const LONGEST = [
  "panel/panel",
  "worker/database-faults",
  "local/start",
  "app/states",
  "warehouse/exposures",
  "warehouse/states",
  "app/injection",
  "app/refresh",
  "app/bad-input",
  "app/sweep",
  "app/alerts",
];

function rankOf({ moduleId }: TestSpecification): number {
  const index = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return index === -1 ? LONGEST.length : index;
}

/** Runs one project after the other, because the files of a project share a process. The slowest files run first. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const projectOf = ({ project }: TestSpecification) => PROJECTS.indexOf(project.name);
    return files.toSorted((a, b) => projectOf(a) - projectOf(b) || rankOf(a) - rankOf(b));
  }
}
