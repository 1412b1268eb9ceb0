const ENTITY = /^&(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);/;
const ATTRIBUTE = /^\s+([A-Za-z_][\w:.-]*)="([^"<]*)"/;

/** What a strict parser of XML 1.0 would reject in a document without a prolog or comments; null: nothing. */
export function problemOfXml(document: string): string | null {
  if (!document.isWellFormed()) return "half a surrogate pair";
  const illegal = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.exec(document);
  if (illegal) return `the illegal character ${illegal[0].codePointAt(0)}`;
  const open: string[] = [];
  let roots = 0;
  for (const [token] of document.matchAll(/<[^>]*>?|[^<]+/g)) {
    if (!token.startsWith("<")) {
      if (open.length === 0 && token.trim() !== "") return `text outside: ${token}`;
      if (token.includes("]]>") || !areReferences(token)) return `text that is none: ${token}`;
      continue;
    }
    const end = /^<\/([A-Za-z_][\w:.-]*)\s*>$/.exec(token)?.[1];
    if (end !== undefined) {
      if (open.pop() !== end) return `an end that nothing began: ${token}`;
      continue;
    }
    const tag = /^<([A-Za-z_][\w:.-]*)(.*?)(\/?)>$/s.exec(token);
    if (tag === null || !areAttributes(tag[2] ?? "")) return `a tag that is none: ${token}`;
    if (open.length === 0) roots += 1;
    if (tag[3] === "") open.push(tag[1] ?? "");
  }
  return open.length > 0 ? `no end of ${open.join(", ")}` : roots === 1 ? null : `${roots} roots`;
}

function areAttributes(written: string): boolean {
  const names = new Set<string>();
  let rest = written;
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
