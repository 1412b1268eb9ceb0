import { beforeAll, describe, expect, it } from "vitest";
import { browserPath } from "../support/browser-path.ts";
import { stopRunsAfterAll } from "../support/local-run.ts";
import { checkPage, everyPage } from "./every-page.ts";
import { experimentPages } from "./experiment-pages.ts";
import { hostileNames } from "./hostile-names.ts";
import { listPages } from "./list-pages.ts";
import { livePages } from "./live-pages.ts";
import { fillSite, site, startSite } from "./site.ts";

// The panel in a browser, against `npm start`. All tests share one run, because a start takes longer than any test.

if (browserPath === null)
  console.warn(
    "test/panel is skipped because no browser was found. Install Debian's chromium-headless-shell, or set CHROMIUM to a browser.",
  );

stopRunsAfterAll();

describe.skipIf(browserPath === null)("the panel in a browser", () => {
  beforeAll(startSite, 120_000);

  it("explains on the first run how to create an experiment", async () => {
    await checkPage("/");
    const page = await site.open("/");
    await page.getByText("No experiments yet.").waitFor();
    expect(await page.locator("pre").innerText()).toMatch(/^curl -X PUT \S+\/v1\/experiments\//);
    await page.getByRole("link", { name: "API reference" }).click();
    await page.getByRole("heading", { level: 1, name: "API reference" }).waitFor();
  });

  describe("with experiments", () => {
    beforeAll(fillSite, 120_000);

    describe("the list", listPages);
    describe("an experiment's page", experimentPages);
    describe("live pages", livePages);
    describe("hostile names", hostileNames);
    describe("every page", everyPage);
  });
});
