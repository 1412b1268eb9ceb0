import { readdirSync, readFileSync } from "node:fs";

/** The paths of the documents, relative to the root of the project. */
export const pagePaths = [
  ...["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"],
  ...["test/bench/README.md", "test/mutation/README.md"],
  ...readdirSync("docs").map((name) => `docs/${name}`),
];

export function readPage(path: string): string {
  return readFileSync(path, "utf8");
}

/** Returns a page without its code blocks. */
export function proseOf(page: string): string {
  return page.replaceAll(/^( *)```.*?^\1```$/gms, "");
}

/** Returns the anchors that GitHub generates for the headings of a page. */
export function anchorsOf(page: string): string[] {
  const headings = [...proseOf(page).matchAll(/^#+ +(.+)$/gm)].map(([, heading = ""]) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Returns the rows of the first table below a heading, as arrays of cells. */
export function tableOf(page: string, heading: string): string[][] {
  const start = page.indexOf(`\n${heading}\n`);
  if (start === -1) throw new Error(`The page has no heading "${heading}".`);
  const table = /(?:^\|.*\n)+/m.exec(page.slice(start))?.[0] ?? "";
  const [, , ...rows] = table.trimEnd().split("\n");
  return rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Returns the code spans of a text. */
export function codeIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
}
