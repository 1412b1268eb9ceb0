/** Names that break careless HTML, XML, SQL or CSV. */
export const HOSTILE_NAMES = [
  "__proto__",
  "<script>alert(1)</script>",
  "]]>",
  "&amp;",
  "\0",
  "\u0007",
  "\u0085",
  "\ud800",
  "\udc00x",
  "\ufffe",
  "\"'",
  "a\u2069\u202ertl",
  "مرحبا",
  "x".repeat(2000),
  "",
  "🧪",
] as const;
