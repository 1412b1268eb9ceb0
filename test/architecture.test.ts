import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, posix } from "node:path";
import { describe, expect, it } from "vitest";

// Checks the layout of CONTRIBUTING.md against the imports of every file in src/, types included.

/** Folders and root files of src/, from the top layer to the bottom one. A layer imports only from layers below it. */
const LAYERS = [
  ["dev"],
  ["worker.ts", "deno.ts"],
  ["cloudflare", "deno"],
  ["app.ts"],
  ["panel"],
  ["http"],
  ["flagsmith"],
  ["refresh"],
  ["alerts"],
  ["store", "warehouse"],
  ["exposures", "results"],
  [
    "experiment.ts",
    "format.ts",
    "gamma.ts",
    "hmac.ts",
    "standard-webhooks.ts",
    "settings.ts",
    "settings-schema.ts",
    "setting-types.ts",
    "result.ts",
    "log.ts",
    "alarm.ts",
    "backoff.ts",
    "fallback.ts",
    "row-size.ts",
    "ttl-cache.ts",
    "with-timeout.ts",
  ],
];

/** The TypeScript files of a folder, as paths in it. */
const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".ts"))
    .sort();

/** The files that a file imports, as paths in the same folder as its own. */
function importsOf(folder: string, file: string): string[] {
  const text = readFileSync(`${folder}/${file}`, "utf8");
  const specifiers = text.matchAll(/\b(?:from|import)\s*\(?\s*["'`](\.{1,2}\/[^"'`]+)["'`]/g);
  return [...specifiers].map(([, specifier = ""]) => posix.join(posix.dirname(file), specifier));
}

const files = filesIn("src");

/** The folder of a file, or the file itself at the root of src/. */
const unitOf = (file: string) => (file.includes("/") ? (file.split("/")[0] ?? "") : file);
const layerOf = (file: string) => LAYERS.findIndex((layer) => layer.includes(unitOf(file)));

const graph = new Map(files.map((file) => [file, importsOf("src", file)]));

/** Finds a cycle in a graph. Returns its nodes; empty if there is none. */
function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  function visit(node: string, path: readonly string[]): string[] {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return [];
    for (const next of edges.get(node) ?? []) {
      const cycle = visit(next, [...path, node]);
      if (cycle.length > 0) return cycle;
    }
    done.add(node);
    return [];
  }
  for (const node of edges.keys()) {
    const cycle = visit(node, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

describe("the layout of src/", () => {
  it("is read from the imports, and cycles are found", () => {
    expect(files.length).toBeGreaterThan(50);
    expect(graph.get("app.ts")).toContain("panel/routes.ts");
    expect(
      findCycle(
        new Map([
          ["a", ["b"]],
          ["b", ["c"]],
          ["c", ["b"]],
        ]),
      ),
    ).toEqual(["b", "c", "b"]);
  });

  it("imports only files that exist", () => {
    const missing = [...graph].flatMap(([file, imports]) =>
      imports.filter((path) => !graph.has(path) && !path.endsWith(".json")).map((path) => `${file}: ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it("has no import cycles between files", () => {
    expect(findCycle(graph)).toEqual([]);
  });

  it("has no import cycles between tests", () => {
    expect(findCycle(new Map(filesIn("test").map((file) => [file, importsOf("test", file)])))).toEqual([]);
  });

  it("has no import cycles between folders", () => {
    const folders = Map.groupBy(graph, ([file]) => unitOf(file));
    const edges = new Map(
      [...folders].map(([unit, entries]) => {
        const targets = entries.flatMap(([, imports]) => imports.map(unitOf));
        return [unit, [...new Set(targets)].filter((target) => target !== unit)];
      }),
    );
    expect(findCycle(edges)).toEqual([]);
  });

  it("assigns a layer to every file", () => {
    expect(files.filter((file) => layerOf(file) === -1)).toEqual([]);
  });

  it("imports from the same folder or from a layer below", () => {
    const upward = [...graph].flatMap(([file, imports]) =>
      imports
        .filter((target) => unitOf(target) !== unitOf(file) && layerOf(target) <= layerOf(file))
        // The leaves at the bottom may import each other; cycles among them are excluded above.
        .filter((target) => layerOf(target) !== LAYERS.length - 1 || layerOf(file) !== LAYERS.length - 1)
        .map((target) => `${file} → ${target}`),
    );
    expect(upward).toEqual([]);
  });

  it("has no two files with the same name", () => {
    const names = Map.groupBy(files, (file) => basename(file));
    const shared = [...names]
      .filter(([, paths]) => paths.length > 1)
      .map(([name, paths]) => `${name}: ${paths.map(dirname)}`);
    expect(shared).toEqual([]);
  });

  it("exports no name with two meanings", () => {
    const declared = /^export (?:async )?(?:const|function\*?|class|type) (\w+)/gm;
    const exports = files.flatMap((file) =>
      [...readFileSync(`src/${file}`, "utf8").matchAll(declared)].map(([, name = ""]) => ({ name, file })),
    );
    expect(exports.length).toBeGreaterThan(500);
    const shared = [...Map.groupBy(exports, ({ name }) => name)]
      .filter(([, places]) => places.length > 1)
      .map(([name, places]) => `${name}: ${places.map(({ file }) => file)}`);
    // The class names of Durable Objects, which run what has the same name.
    expect(shared).toEqual([
      "Alerter: alerts/alerter.ts,cloudflare/alerter-object.ts",
      "Dispatcher: cloudflare/dispatcher-object.ts,refresh/dispatcher.ts",
    ]);
  });
});
