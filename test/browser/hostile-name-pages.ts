import { expect, it } from "vitest";
import { overflow } from "../support/browser.ts";
import { PHONE, WIDE } from "../support/browser-path.ts";
import { plain } from "./experiment-pages.ts";
import { LONG, MARKUP, REVERSING, site, UNBROKEN } from "./site.ts";

/** The name as pages show it, with its control character replaced. */
const REVERSED = REVERSING.replace("\u202e", "\ufffd");

export function hostileNames(): void {
  it("appear as text everywhere on the experiment's page", async () => {
    const page = await site.open("/experiments/hostile");
    expect(plain(await page.locator("h1").innerText())).toBe(MARKUP + LONG);
    expect(await page.title()).toContain(MARKUP);
    expect(plain(await page.locator("p.sub").first().innerText())).toContain(MARKUP);
    const names = (await page.locator(".balance tbody th").allInnerTexts()).map(plain);
    for (const name of [MARKUP, REVERSED, LONG, "=1+1"])
      expect(
        names.some((shown) => shown.includes(name)),
        name,
      ).toBe(true);
    await page.locator(".plot").focus();
    const reading = plain(await page.locator(".reading").innerText());
    for (const [name, count] of [
      [MARKUP, 20],
      [REVERSED, 19],
      [LONG, 18],
    ])
      expect(reading).toContain(`${name} ${count}`);
    const label = await page.locator(".plot svg").first().getAttribute("aria-label");
    expect(label).toContain(MARKUP);
    expect(await page.locator("#main script, #main img").count()).toBe(0);
    expect(await page.locator("#query-text").textContent()).toContain(JSON.stringify(MARKUP));
  });

  it("appear as text in the list, its filter and its search field", async () => {
    const page = await site.open(`/?search=${encodeURIComponent(MARKUP)}`);
    expect(await page.getByLabel("Search").inputValue()).toBe(MARKUP);
    const row = page.locator('tr:has(a[href="/experiments/hostile"])');
    expect(plain(await row.innerText())).toContain(MARKUP);
    await page.getByLabel("Environment").selectOption(MARKUP);
    await page.getByLabel("Search").fill("");
    await page.getByRole("button", { name: "Filter" }).click();
    await page.locator('a[href="/experiments/reversed"]').waitFor();
    expect(await page.locator(".experiments tbody tr").count()).toBe(1);
    expect(await page.locator("#main script, #main img").count()).toBe(0);
  });

  it("do not reverse the text around them", async () => {
    const page = await site.open("/experiments/hostile");
    const violations = await page.locator("#main").evaluate((main) => {
      const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
      const seen: { text: string; isName: boolean }[] = [];
      for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
        if (node.parentElement?.closest("details:not([open])") !== null) continue;
        seen.push({ text: node.textContent ?? "", isName: node.parentElement.closest(".health") === null });
      }
      const isUnisolated = (text: string) => /[\u05d0-\u05ea]/.test(text.replace(/\u2068[^\u2069]*\u2069/g, ""));
      return seen.filter(({ text, isName }) => text.includes("\u202e") || (isName && isUnisolated(text)));
    });
    expect(violations).toEqual([]);
    expect(await page.locator(".sub").first().innerText(), "the page has right-to-left text").toMatch(
      /[\u05d0-\u05ea]/,
    );
  });

  it("appear as text in the SVG, which contains no script", async () => {
    const page = await site.open("/v1/experiments/hostile/exposures.svg");
    const texts = (await page.locator("svg text").allTextContents()).map(plain);
    for (const name of [MARKUP, REVERSED, LONG])
      expect(
        texts.some((text) => text.includes(name)),
        name,
      ).toBe(true);
    expect(await page.locator("script, img, foreignObject").count()).toBe(0);
  });

  it("do not make a page wider than a phone", async () => {
    const page = await site.open("/experiments/reversed", { viewport: PHONE });
    expect(await overflow(page)).toBe(0);
  });

  it.each([WIDE, PHONE])(
    "do not make the tables of features and API keys wider than $width pixels",
    async (viewport) => {
      const found = await site.open("/warehouse", { viewport });
      // The list of features is up to a minute old, so the key is put into the page itself.
      await found
        .locator(".cards td")
        .first()
        .evaluate((cell, key) => cell.prepend(key), UNBROKEN);
      expect(await overflow(found)).toBe(0);
      const keys = await site.open("/api-keys", { viewport });
      await keys.getByLabel("Name").fill(UNBROKEN);
      await keys.getByRole("button", { name: "Create key" }).click();
      await keys.getByText("Copy it now").waitFor();
      expect(await overflow(keys)).toBe(0);
      // Other tests expect that there are no keys.
      await keys.getByText("Revoke", { exact: true }).click();
      await keys.getByRole("button", { name: "Revoke for good" }).click();
      await keys.getByText("No keys yet.").waitFor();
    },
  );
}
