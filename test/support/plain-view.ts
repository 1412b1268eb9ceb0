/** The parts of a view that a page has for a visitor who only reads. */
export const plainView = {
  may: { write: false, shareUntil: null },
  query: null,
  identitiesQuery: null,
  shareQuery: null,
  link: null,
  notice: null,
  flagsmith: null,
};
