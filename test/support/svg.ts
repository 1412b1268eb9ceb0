type Point = readonly [x: number, y: number];

/** An element of a picture. */
export type Shape = {
  tag: string;
  attributes: Readonly<Record<string, string>>;
  /** Its text, without the marks that isolate names. */
  text: string;
  /** The corners of a path, or where a text or a circle is, in pixels from the picture's top left corner. */
  points: readonly Point[];
};

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
const decoded = (text: string) =>
  text.replaceAll(/&([a-z#\d]+);/g, (all, name) => ENTITIES[name] ?? all).replaceAll(/[\u2068\u2069]/g, "");

/** Reads the elements of well-formed SVG in their order. A group is only moved, if it has a `transform` at all. */
export function readSvg(svg: string): Shape[] {
  const shapes: Shape[] = [];
  const open: { shape: Shape; origin: Point }[] = [];
  for (const [token] of svg.matchAll(/<[^>]*>|[^<]+/g)) {
    const tag = /^<(\w+)/.exec(token)?.[1];
    const parent = open.at(-1);
    if (token.startsWith("</")) open.pop();
    else if (tag === undefined) {
      if (parent !== undefined) parent.shape.text += textIn(parent.shape, token);
    } else {
      const attributes = Object.fromEntries(
        [...token.matchAll(/([\w:-]+)="([^"]*)"/g)].map(([, name = "", value = ""]) => [name, decoded(value)]),
      );
      const origin = moved(parent?.origin ?? [0, 0], attributes["transform"]);
      const shape: Shape = { tag, attributes, text: "", points: pointsOf(attributes, origin) };
      shapes.push(shape);
      if (!token.endsWith("/>")) open.push({ shape, origin });
    }
  }
  return shapes;
}

/** A browser shows no text outside of these elements. */
function textIn({ tag }: Shape, token: string): string {
  if (tag === "text" || tag === "title") return decoded(token);
  if (token.trim() !== "") throw new Error(`There is text in ${tag}: ${token}`);
  return "";
}

function moved([x, y]: Point, transform = "translate(0 0)"): Point {
  const [, right, down] = /^translate\((\S+) (\S+)\)$/.exec(transform) ?? [];
  return [x + Number(right), y + Number(down)];
}

function pointsOf(attributes: Shape["attributes"], [left, top]: Point): Point[] {
  const { d, x, y, cx = x, cy = y } = attributes;
  if (d !== undefined) return cornersOf(d).map(([x, y]) => [left + x, top + y]);
  return cx === undefined ? [] : [[left + Number(cx), top + Number(cy)]];
}

/** The corners of a path. A command in lower case is relative to the corner before. */
function cornersOf(path: string): Point[] {
  const corners: Point[] = [];
  let [x, y] = [0, 0];
  for (const [, command = "", list = ""] of path.matchAll(/([MLHVlhv])([^A-Za-z]*)/g)) {
    const [first = Number.NaN, second = Number.NaN] = list.split(",").map(Number);
    const isRelative = command !== command.toUpperCase();
    const [dx, dy] = isRelative ? [x, y] : [0, 0];
    if (!/v/i.test(command)) x = dx + first;
    if (/v/i.test(command)) y = dy + first;
    else if (!/h/i.test(command)) y = dy + second;
    corners.push([x, y]);
  }
  return corners;
}

/** The x of a text or a circle, or where a path begins. */
export const xOf = ({ points: [point] }: Shape) => point?.[0] ?? Number.NaN;
/** The y of a text or a circle, or where a path begins. */
export const yOf = ({ points: [point] }: Shape) => point?.[1] ?? Number.NaN;
export const textOf = ({ text }: Shape) => text;
