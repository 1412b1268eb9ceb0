import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import * as z from "zod";

const names = z.record(z.string(), z.string()).default({});
const lock = z
  .object({ packages: z.record(z.string(), z.looseObject({ dependencies: names, optionalDependencies: names })) })
  .parse(JSON.parse(readFileSync("package-lock.json", "utf8")));

/** True if the lock has the package where Node would look for it from `path`: there, or in a folder above. */
function isLocked(path: string, name: string): boolean {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    if (lock.packages[`${folder === "" ? "" : `${folder}/`}node_modules/${name}`] !== undefined) return true;
    if (folder === "") return false;
  }
}

// A lock that was written where the registry lacked some platform's package makes `npm ci` fail on every other platform.
it("locks every dependency of every package, also the optional ones of other platforms", () => {
  const missing = Object.entries(lock.packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !isLocked(path, name))
      .map((name) => `${name}, of ${path || "this project"}`),
  );
  expect(Object.keys(lock.packages).length).toBeGreaterThan(400);
  expect(missing).toEqual([]);
});
