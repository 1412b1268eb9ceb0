// The formats of numbers, times and names in sentences.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
/** Two significant digits, so that a small share is not rounded to 0. */
const percentage = new Intl.NumberFormat("en", { style: "percent", maximumSignificantDigits: 2 });

export const formatNumber = (value: number) => whole.format(value);
export const formatDecimal = (value: number) => oneDigit.format(value);
export const formatPercent = (share: number) => percentage.format(share);
export const formatIdentities = (count: number) => `${formatNumber(count)} ${count === 1 ? "identity" : "identities"}`;
export const formatDays = (days: number) => `${formatDecimal(days)} ${formatDecimal(days) === "1" ? "day" : "days"}`;

/** @param time epoch milliseconds */
export const formatUtc = (time: number) => `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;

/** Two digits are enough to judge a p-value. */
export const formatPValue = (pValue: number) =>
  pValue < 0.001 ? pValue.toExponential(1) : String(Number(pValue.toPrecision(2)));

/**
 * Shortens a name, which any client may have chosen. Control characters are replaced, so that it can neither break the
 * line nor reverse its direction.
 */
export function shortName(name: string, maxLength = 40): string {
  const characters = [...name.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "\ufffd")];
  return (characters.length > maxLength ? [...characters.slice(0, maxLength - 1), "…"] : characters).join("");
}

/** Quotes a variant's key, shortened. */
export const quoteName = (key: string) => `"${shortName(key)}"`;
