import { BaseSequencer, type TestSpecification } from "vitest/node";

const PROJECTS = ["engine", "workerd", "deno", "unit"];

/** Files that take longest, the longest first: one that began last would be waited for. */
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
  const place = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return place === -1 ? LONGEST.length : place;
}

/** One project after the other, since its files share a process, and in each the longest files first. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const projectOf = ({ project }: TestSpecification) => PROJECTS.indexOf(project.name);
    return files.toSorted((a, b) => projectOf(a) - projectOf(b) || rankOf(a) - rankOf(b));
  }
}
