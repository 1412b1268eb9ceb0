import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { anchorsOf, pagePaths, proseOf, readPage } from "./pages.ts";

const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync("package.json", "utf8")));

describe.each(pagePaths)("%s", (path) => {
  const page = readPage(path);

  it("links to existing files and headings", () => {
    const links = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
    const relative = links.filter((link) => !/^[a-z]+:/.test(link));
    const broken = relative.filter((link) => {
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : join(dirname(path), file);
      if (!existsSync(target)) return true;
      return anchor !== undefined && !anchorsOf(readPage(target)).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it("has unique anchors", () => {
    const anchors = anchorsOf(page);
    expect(anchors).toEqual([...new Set(anchors)]);
  });

  it("has valid JSON in its JSON blocks", () => {
    for (const [, block = ""] of page.matchAll(/^ *```json\n(.*?)^ *```$/gms))
      expect(() => JSON.parse(block)).not.toThrow();
  });

  it("names existing npm scripts", () => {
    const named = [...page.matchAll(/npm (?:run ([\w:-]+)|(test|start)\b)/g)].map(
      ([, run, shorthand]) => run ?? shorthand ?? "",
    );
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it("names existing paths", () => {
    const named = [...page.matchAll(/(?<![\w./-])(?:src|test|migrations|docs|\.ci)\/[\w./-]*/g)].map(([match]) =>
      match.replace(/[.-]+$/, ""),
    );
    expect(named.filter((name) => !existsSync(name))).toEqual([]);
  });
});
