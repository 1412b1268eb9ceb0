// Numbers, times and names, as sentences have them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const percentage = new Intl.NumberFormat("en", { style: "percent", maximumSignificantDigits: 2 });

export const formatNumber = (value: number) => whole.format(value);
export const formatDecimal = (value: number) => oneDigit.format(value);
export const formatPercent = (share: number) => percentage.format(share);
export const formatIdentities = (count: number) => `${formatNumber(count)} ${count === 1 ? "identity" : "identities"}`;
export const formatDays = (days: number) => `${formatDecimal(days)} ${formatDecimal(days) === "1" ? "day" : "days"}`;

/** @param time epoch milliseconds */
export const formatUtc = (time: number) => `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;

/** Two digits are enough to judge a p-value by. */
export const formatPValue = (pValue: number) =>
  pValue < 0.001 ? pValue.toExponential(1) : String(Number(pValue.toPrecision(2)));

/** A name that anyone may have chosen: no longer than a sentence bears, and unable to break its line or turn it round. */
export function quoteName(key: string): string {
  const characters = [...key.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "\ufffd")];
  return `"${(characters.length > 40 ? [...characters.slice(0, 39), "…"] : characters).join("")}"`;
}
