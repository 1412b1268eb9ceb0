import { beforeAll, describe, expect, it } from "vitest";
import { browserPath } from "../support/browser-path.ts";
import { everyPage, lookAt } from "./every-page.ts";
import { experimentPages } from "./experiment-pages.ts";
import { hostileNames } from "./hostile-names.ts";
import { listPages } from "./list-pages.ts";
import { livePages } from "./live-pages.ts";
import { fillSite, site, startSite } from "./site.ts";

// The panel in a browser, against `npm start`. All of it is in one run, because a start takes longer than any test.

if (browserPath === null)
  console.warn("test/panel is skipped, for want of a browser: install Debian's chromium, or set CHROMIUM to yours.");

describe.skipIf(browserPath === null)("the panel in a browser", () => {
  beforeAll(startSite, 120_000);

  it("says at the first run how to add the first experiment", async () => {
    await lookAt("/");
    const page = await site.open("/");
    await page.getByText("There are none yet.").waitFor();
    expect(await page.locator("pre").innerText()).toMatch(/^curl -X PUT \S+\/v1\/experiments\//);
    await page.getByRole("link", { name: "All of the API" }).click();
    await page.getByRole("heading", { level: 1, name: "API" }).waitFor();
  });

  describe("with experiments", () => {
    beforeAll(fillSite, 120_000);

    describe("the list", listPages);
    describe("an experiment", experimentPages);
    describe("what is live", livePages);
    describe("names that anyone may have chosen", hostileNames);
    describe("every page", everyPage);
  });
});
