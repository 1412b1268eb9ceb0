import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { takeBrowserErrors } from "../support/browser.ts";
import { plain } from "./experiment-pages.ts";
import { expose, HOUR, put, settled, site } from "./site.ts";

const identities = (page: Page) => page.locator(".headline dd").first().innerText();
const three = new Map([["control", 3]]);

/** Marks the document. The returned function tells whether the mark is still there: a reload would remove it. */
async function markDocument(page: Page): Promise<() => Promise<boolean>> {
  await page.evaluate(() => document.documentElement.setAttribute("data-marked", ""));
  return async () => (await page.locator("html[data-marked]").count()) === 1;
}

export function livePages(): void {
  it("shows new numbers after a refresh without a reload, then counts down to the next one", async () => {
    const page = await site.open("/experiments/live");
    await page.clock.install();
    const isMarked = await markDocument(page);
    expect(await identities(page)).toBe("40");
    await expose("live", three, Date.now() - HOUR);
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.clock.runFor(100);
    await expect
      .poll(async () => {
        await page.clock.runFor(5000);
        return identities(page);
      })
      .toBe("43");
    await page.getByText("Numbers updated.").waitFor();
    await page.locator(".plot").focus();
    expect(plain(await page.locator(".reading").innerText()), "values of the new chart").toContain("control 23");

    const refused = page.waitForResponse((response) => response.request().method() === "POST");
    await page.getByRole("button", { name: "Refresh now" }).click();
    expect((await refused).status()).toBe(429);
    const status = page.locator("#refresh output");
    const remaining = async () =>
      /again in (\d):(\d\d)$/
        .exec(await status.innerText())
        ?.slice(1)
        .map(Number) ?? [];
    await status.filter({ hasText: "again in" }).waitFor();
    expect(await page.getByRole("button", { name: "Refresh now" }).isDisabled()).toBe(true);
    const [minutes = 0, seconds = 0] = await remaining();
    await page.clock.runFor(61_000);
    const [later = 0, laterSeconds = 0] = await remaining();
    const passed = (minutes - later) * 60 + seconds - laterSeconds;
    expect(passed, "seconds counted down").toBeGreaterThanOrEqual(60);
    await page.clock.runFor(300_000);
    expect(await status.innerText()).toBe("");
    expect(await page.getByRole("button", { name: "Refresh now" }).isEnabled()).toBe(true);
    expect(await isMarked(), "no reload").toBe(true);
    expect(takeBrowserErrors()).toEqual([expect.stringContaining("429")]);
    // No other test may get a page whose clock stands still.
    await page.context().close();
  });

  it("shows the first numbers as soon as they are computed, without a reload", async () => {
    await expose("fresh", three, Date.now() - HOUR);
    site.proxy.closeGate();
    try {
      await put("fresh", { started_at: new Date(Date.now() - 2 * HOUR).toISOString() });
      const page = await site.open("/experiments/fresh");
      const isMarked = await markDocument(page);
      await page.getByText("N/A: not computed yet").waitFor();
      expect(await page.getByRole("button", { name: "Refreshing" }).isDisabled()).toBe(true);
      site.proxy.openGate();
      await page.locator(".headline").waitFor();
      expect(await identities(page)).toBe("3");
      expect(await isMarked(), "no reload").toBe(true);
    } finally {
      site.proxy.openGate();
    }
  });

  it("reports a failed refresh and keeps the older numbers", async () => {
    const page = await site.open("/experiments/sharing");
    site.proxy.injectFault((_, response) => response.destroy(), "sharing");
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByText("The refresh failed.").waitFor();
    await page.getByText("The numbers below are older.").waitFor();
    expect(await identities(page)).toBe("40");
    site.proxy.injectFault(null, "sharing");
  });

  it("refreshes after a share link was created", async () => {
    const page = await site.open("/experiments/empty");
    await page.getByText("Share", { exact: true }).click();
    await page.getByRole("button", { name: "Create link" }).click();
    await page.locator("input.link").waitFor();
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByText("Numbers updated.").waitFor();
  });

  it("shows the values of the bucket under the pointer", async () => {
    const page = await site.open("/experiments/checkout-cta");
    const { exposures } = await site.run.exposures("checkout-cta");
    const reading = page.locator(".reading");
    const chart = page.locator(".plot .wide svg");
    await chart.scrollIntoViewIfNeeded();
    const box = await chart.boundingBox();
    if (box === null) throw new Error("no chart");
    await page.mouse.move(box.x + box.width - 5, box.y + box.height / 2);
    const { control } = exposures.timeseries.points.at(-1).cumulative_identities;
    expect(plain(await reading.innerText())).toContain(`control ${control.toLocaleString("en")}`);
    await page.mouse.move(box.x + 5, box.y + box.height / 2);
    const first = exposures.timeseries.points[0].cumulative_identities;
    expect(plain(await reading.innerText())).toContain(`control ${first.control.toLocaleString("en")}`);
  });

  it("works by keyboard alone: sign in, skip to the content, refresh, read the chart", async () => {
    const page = await site.open("/experiments/onboarding-flow", { token: null });
    await page.locator("#token:focus").waitFor();
    await page.keyboard.type("dev-admin");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/experiments\/onboarding-flow$/);
    await page.keyboard.press("Tab");
    expect(await page.locator(":focus").innerText()).toBe("Skip to content");
    expect(await page.locator(":focus").evaluate((link) => link.getBoundingClientRect().left >= 0)).toBe(true);
    await page.keyboard.press("Enter");

    const tabTo = async (selector: string) => {
      for (let tabs = 0; tabs < 12; tabs++) {
        await page.keyboard.press("Tab");
        const outline = await page.locator(":focus").evaluate((element) => getComputedStyle(element).outlineStyle);
        expect(outline, "visible focus").not.toBe("none");
        if ((await page.locator(`${selector}:focus`).count()) === 1) return;
      }
      throw new Error(`Tab does not reach ${selector}`);
    };
    await tabTo("#refresh button");
    await page.keyboard.press("Enter");
    await page.getByText("Numbers updated.").waitFor();
    expect(await page.locator("#refresh button:focus").count(), "the focus stays on the button").toBe(1);

    const { exposures } = await settled("onboarding-flow");
    const { points } = exposures.timeseries;
    const readingOf = (index: number) => points.at(index).cumulative_identities.three.toLocaleString("en");
    await tabTo(".plot");
    const reading = async () => plain(await page.locator(".reading").innerText());
    expect(await reading()).toContain(`three ${readingOf(-1)}`);
    await page.keyboard.press("ArrowLeft");
    expect(await reading()).toContain(`three ${readingOf(-2)}`);
    await page.keyboard.press("Home");
    expect(await reading()).toContain(`three ${readingOf(0)}`);
    await page.keyboard.press("ArrowLeft");
    expect(await reading(), "no bucket before the first").toContain(`three ${readingOf(0)}`);
    await page.keyboard.press("ArrowRight");
    expect(await reading()).toContain(`three ${readingOf(1)}`);
    await page.keyboard.press("End");
    expect(await reading()).toContain(`three ${readingOf(-1)}`);
  });

  it("works without JavaScript: sign in, read the numbers, refresh, see the limit, sign out", async () => {
    const page = await site.open("/experiments/plain", { token: null, script: false });
    await page.getByLabel("Token").fill("wrong token");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    expect(takeBrowserErrors()).toEqual([expect.stringContaining("401")]);
    await page.getByLabel("Token").fill("dev-admin");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(/\/experiments\/plain$/);
    expect(await identities(page)).toBe("40");
    expect(await page.locator(".plot .wide svg").isVisible()).toBe(true);
    await expose("plain", three, Date.now() - HOUR);
    await page.getByRole("button", { name: "Refresh now" }).click();
    await expect
      .poll(async () => {
        await page.reload();
        return identities(page);
      })
      .toBe("43");
    await page.getByRole("button", { name: "Refresh now" }).click();
    expect(await page.getByRole("alert").innerText()).toMatch(/\d/);
    expect(await identities(page)).toBe("43");
    expect(takeBrowserErrors()).toEqual([expect.stringContaining("429")]);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    await page.goto("/experiments/plain");
    await page.getByLabel("Token").waitFor();
  });

  it("shows no refresh button to a read-only visitor", async () => {
    const page = await site.open("/experiments/plain", { token: "dev-read" });
    await page.locator(".headline").waitFor();
    expect(await page.getByRole("button", { name: /Refresh/ }).count()).toBe(0);
  });
}
