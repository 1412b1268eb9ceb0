import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { plain } from "./experiment-pages.ts";
import { site } from "./site.ts";

const rows = (page: Page) => page.locator(".experiments tbody tr");
const rowOf = (page: Page, id: string) => rows(page).filter({ has: page.locator(`a[href="/experiments/${id}"]`) });

export function listPages(): void {
  it("shows status, trend, identities, health and age of each experiment", async () => {
    const page = await site.open("/?environment=demo");
    expect(await rows(page).count()).toBe(3);
    const { exposures } = await site.run.exposures("checkout-cta");
    const cells = rowOf(page, "checkout-cta").locator("th, td");
    const [name, status, , identities, health, age] = await cells.allInnerTexts();
    expect(name).toMatch(/Checkout: wording of the button.*checkout_button.* in .*demo/s);
    expect(status).toBe("running");
    expect(identities).toBe(exposures.total_identities.toLocaleString("en"));
    expect(health).toBe(exposures.health.status);
    expect(age).toMatch(/^(just now|\d+ (second|minute)s? ago)$/);
    expect(await cells.nth(2).locator("svg path").getAttribute("d")).toMatch(/^M[\d.]+,[\d.]+(L[\d.]+,[\d.]+){10,}$/);
  });

  it("shows N/A for numbers that were never computed, and 0 without exposures", async () => {
    const page = await site.open("/?environment=states");
    const textOf = (id: string) => rowOf(page, id).innerText();
    for (const id of ["draft", "scheduled", "broken"]) {
      expect(await textOf(id), id).toMatch(/\bN\/A\b/);
      expect(await textOf(id), id).toContain("not computed yet");
    }
    expect(await textOf("empty")).toMatch(/\b0\b/);
    expect(await textOf("broken")).toContain("refresh failed");
    expect(await textOf("failed")).toMatch(/\b40\b.*refresh failed/s);
    expect(await textOf("live")).not.toContain("refresh failed");
  });

  it("sorts by latest activity", async () => {
    const page = await site.open("/?environment=demo");
    const ids = () =>
      rows(page)
        .locator("a")
        .evaluateAll((links) => links.map((link) => link.getAttribute("href")));
    const requested = await site.run.call("POST", "/v1/experiments/pricing-page/exposures/refresh");
    expect(requested.status).toBe(202);
    await expect
      .poll(async () => {
        await page.reload();
        return (await ids())[0];
      })
      .toBe("/experiments/pricing-page");
  });

  it("filters by environment, status and search text", async () => {
    const page = await site.open("/");
    await page.getByLabel("Environment").selectOption("states");
    await page.getByLabel("Status").selectOption("completed");
    await page.getByRole("button", { name: "Filter" }).click();
    await page.waitForURL(/status=completed/);
    expect((await rows(page).locator("a").allInnerTexts()).map(plain).toSorted()).toEqual(["over", "settling"]);

    await page.getByLabel("Environment").selectOption("");
    await page.getByLabel("Status").selectOption("");
    await page.getByLabel("Search").fill("WORDING of");
    await page.getByLabel("Search").press("Enter");
    await page.waitForURL(/search=WORDING/);
    expect(await rows(page).count()).toBe(1);
    expect(await page.getByLabel("Search").inputValue()).toBe("WORDING of");
    await rowOf(page, "checkout-cta").waitFor();

    await page.getByLabel("Search").fill("no such name");
    await page.getByLabel("Search").press("Enter");
    await page.getByText("No experiments found.").waitFor();
    await page.getByRole("link", { name: "Show all" }).click();
    expect(await rows(page).count()).toBe(20);
  });

  it("has pages that keep the filter and miss no experiment", async () => {
    const page = await site.open("/?environment=many");
    const seen = await rows(page).locator("a").allInnerTexts();
    expect(seen).toHaveLength(20);
    expect(await page.getByRole("link", { name: "Newer" }).count()).toBe(0);
    await page.getByRole("link", { name: "Older" }).click();
    await page.waitForURL(/page=2/);
    expect(await page.getByLabel("Environment").inputValue()).toBe("many");
    expect(await page.getByRole("link", { name: "Older" }).count()).toBe(0);
    seen.push(...(await rows(page).locator("a").allInnerTexts()));
    expect(new Set(seen).size).toBe(25);
    await page.getByRole("link", { name: "Newer" }).click();
    await page.getByRole("link", { name: "Older" }).waitFor();
  });
}
