import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { overflow, takeBrowserErrors } from "../support/browser.ts";
import { PHONE } from "../support/browser-path.ts";
import { checkAccessibility, checkPage } from "./every-page.ts";
import { plain } from "./experiment-pages.ts";
import { expose, HOUR, LONG, MARKUP, put, REVERSING, settled, site } from "./site.ts";

async function definitionOf(id: string) {
  const { json } = await site.run.call("GET", `/v1/experiments/${id}`);
  const { updated_at: _, ...definition } = json;
  return definition;
}

/** Presses Tab until the element has the focus. The fields of a time are several stops. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let tabs = 0; tabs < 50; tabs++) {
    await page.keyboard.press("Tab");
    const outline = await page.evaluate((wanted) => {
      const { activeElement } = document;
      return activeElement?.matches(wanted) === true ? getComputedStyle(activeElement).outlineStyle : null;
    }, selector);
    if (outline === null) continue;
    expect(outline, "visible focus").not.toBe("none");
    return;
  }
  throw new Error(`Tab does not reach ${selector}`);
}

/** On an empty installation: from the warehouse's feature to an experiment's numbers, and back to no experiment. */
export function firstExperiment(): void {
  it("can be created with the API, as the page explains", async () => {
    // Before the first page, because a process asks the warehouse for its features only once a minute.
    await expose(
      "first",
      new Map([
        ["control", 60],
        ["treatment", 20],
      ]),
      Date.now() - 5 * HOUR,
    );
    await checkPage("/");
    const page = await site.open("/");
    await page.getByText("No experiments yet.").waitFor();
    await page.getByText("Create an experiment with the API").click();
    expect(await page.locator("pre").innerText()).toMatch(/^curl -X PUT \S+\/v1\/experiments\//);
    await page.getByRole("link", { name: "API reference" }).click();
    await page.getByRole("heading", { level: 1, name: "API reference" }).waitFor();
  });

  it("leads by keyboard from a feature of the warehouse to its numbers, and to its end and deletion", async () => {
    const page = await site.open("/");
    // The page shows without features while ClickHouse is slow.
    const links = page.locator(".cards a");
    for (let tries = 0; tries < 10 && (await links.count()) === 0; tries++) await page.reload();
    await page.getByText("ClickHouse answers, and its events table has the required columns.").waitFor();
    expect(plain(await page.locator(".cards tbody tr").innerText())).toMatch(/first.*control 75%, treatment 25%/s);
    await tabTo(page, ".cards a");
    await page.keyboard.press("Enter");
    await page.getByText("The weights are a guess").waitFor();
    expect(
      await page.locator("[name='variants.weight']").evaluateAll((all) => all.map((input) => Object(input).value)),
    ).toEqual(["75", "25"]);

    await tabTo(page, "[value=preview]");
    await page.keyboard.press("Enter");
    await page.getByText("This counts 80 identities so far.").waitFor();
    // The focus is where it was, and Enter in a field saves.
    expect(await page.locator("[value=preview]:focus").count()).toBe(1);
    await page.locator("#name").focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/experiments\/first$/);
    await page.locator(".headline").getByText("80", { exact: true }).waitFor();

    await tabTo(page, ".actions a");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/edit$/);
    await tabTo(page, "#name");
    await page.keyboard.type("First");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/experiments\/first$/);
    await page.getByRole("heading", { name: "First" }).waitFor();
    await tabTo(page, ".actions button");
    await page.keyboard.press("Enter");
    await page.getByText("completed").waitFor();

    await page.goto("/experiments/first/edit");
    await tabTo(page, "main > details > summary");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("No experiments yet.").waitFor();
  });
}

export function formPages(): void {
  it("keep what was entered when the session ends, until the visitor has signed in again", async () => {
    await put("interrupted");
    const page = await site.open("/experiments/interrupted/edit");
    await page.locator("#name").fill("Entered before the session ended");
    await page.context().clearCookies();
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("heading", { name: "Sign in again" }).waitFor();
    expect(takeBrowserErrors()).toEqual([expect.stringContaining("401")]);
    expect((await definitionOf("interrupted")).name).toBe("interrupted");

    const opened = page.context().waitForEvent("page");
    await page.getByRole("link", { name: "Sign in in a new tab" }).click();
    const tab = await opened;
    await tab.getByLabel("Token").fill("dev-admin");
    await tab.keyboard.press("Enter");
    await tab.getByRole("button", { name: "Sign out" }).waitFor();
    await tab.close();
    await page.reload();
    await page.getByRole("heading", { name: "Entered before the session ended" }).waitFor();
    expect((await definitionOf("interrupted")).name).toBe("Entered before the session ended");
  });

  it("keep every hostile name as it is, on a phone without JavaScript", async () => {
    const before = await definitionOf("hostile");
    const page = await site.open("/experiments/hostile/edit", { script: false, viewport: PHONE, dark: true });
    expect(await page.locator("#feature_name").inputValue()).toBe(MARKUP);
    expect(await page.locator("[id='variants.1.key']").inputValue()).toBe(REVERSING);
    expect(await page.locator("#main script, #main img").count()).toBe(0);
    expect(await overflow(page)).toBe(0);

    await page.getByRole("button", { name: "Add metric" }).click();
    await page.locator("[name='metrics.event']:focus").fill(MARKUP);
    await page.locator("[id='variants.2.weight']").fill("one");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("alert").getByText("Variant 3: weight must be a number.").waitFor();
    expect(takeBrowserErrors()).toEqual([expect.stringContaining("400")]);
    expect(await page.locator("[id='variants.2.weight']:focus").inputValue()).toBe("one");
    expect(await page.locator("[name='metrics.event']").last().inputValue()).toBe(MARKUP);
    expect(await overflow(page)).toBe(0);

    await page.locator("[id='variants.2.weight']").fill("1");
    await page
      .getByRole("button", { name: /^Remove metric/ })
      .last()
      .click();
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.waitForURL(/\/experiments\/hostile$/);
    expect(await definitionOf("hostile")).toEqual(before);
    await settled("hostile");
  });

  it("ask before they drop numbers, beside what was typed", async () => {
    const page = await site.open("/experiments/plain/edit");
    await page.locator("#feature_name").fill(LONG);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("Changing the feature deletes all numbers and results.").waitFor();
    expect(takeBrowserErrors()).toEqual([expect.stringContaining("409")]);
    await checkAccessibility(page);
    expect(await page.locator("#feature_name").inputValue()).toBe(LONG);
    expect(await page.locator("[name=agreed]:focus").isChecked()).toBe(false);
    await page.locator("#feature_name").fill("plain");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.waitForURL(/\/experiments\/plain$/);
    expect(await page.locator(".headline").innerText()).toMatch(/Identities\s+4\d/);
  });

  it("show a new API key once, and copy it", async () => {
    const page = await site.open("/api-keys");
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Create key" }).click();
    await page.getByText("Name must not be empty.").waitFor();
    expect(takeBrowserErrors()).toEqual([expect.stringContaining("400")]);
    await page.getByLabel("Name").fill(MARKUP);
    await page.getByRole("button", { name: "Create key" }).click();
    const key = await page.locator("#created").inputValue();
    expect(key).toMatch(/^ee_[0-9a-f]{72}$/);
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(key);
    await page.goto("/api-keys");
    expect(await page.locator("#created").count()).toBe(0);
    const row = page.locator(".cards tbody tr").filter({ hasText: MARKUP });
    await row.getByText("Revoke", { exact: true }).click();
    await row.getByRole("button", { name: "Revoke for good" }).click();
    await page.getByText("No keys yet.").waitFor();
  });
}
