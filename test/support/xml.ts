const ENTITY = /^&(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);/;
const ATTRIBUTE = /^\s+([A-Za-z_][\w:.-]*)="([^"<]*)"/;

/**
 * Returns the first error that a strict XML 1.0 parser would report, or null. The document has neither a prolog nor
 * comments.
 */
export function problemOfXml(document: string): string | null {
  if (!document.isWellFormed()) return "a lone surrogate";
  const illegal = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.exec(document);
  if (illegal) return `the illegal character ${illegal[0].codePointAt(0)}`;
  const open: string[] = [];
  let roots = 0;
  for (const [token] of document.matchAll(/<[^>]*>?|[^<]+/g)) {
    if (!token.startsWith("<")) {
      if (open.length === 0 && token.trim() !== "") return `text outside the root element: ${token}`;
      if (token.includes("]]>") || !areReferences(token)) return `malformed text: ${token}`;
      continue;
    }
    const end = /^<\/([A-Za-z_][\w:.-]*)\s*>$/.exec(token)?.[1];
    if (end !== undefined) {
      if (open.pop() !== end) return `an end tag without a start tag: ${token}`;
      continue;
    }
    const tag = /^<([A-Za-z_][\w:.-]*)(.*?)(\/?)>$/s.exec(token);
    if (tag === null || !areAttributes(tag[2] ?? "")) return `a malformed tag: ${token}`;
    if (open.length === 0) roots += 1;
    if (tag[3] === "") open.push(tag[1] ?? "");
  }
  return open.length > 0 ? `no end tag of ${open.join(", ")}` : roots === 1 ? null : `${roots} root elements`;
}

function areAttributes(source: string): boolean {
  const names = new Set<string>();
  let rest = source;
  for (let found = ATTRIBUTE.exec(rest); found !== null; found = ATTRIBUTE.exec(rest)) {
    const [all, name = "", value = ""] = found;
    if (names.has(name) || !areReferences(value)) return false;
    names.add(name);
    rest = rest.slice(all.length);
  }
  return rest.trim() === "";
}

function areReferences(text: string): boolean {
  return [...text.matchAll(/&/g)].every(({ index }) => ENTITY.test(text.slice(index, index + 12)));
}
