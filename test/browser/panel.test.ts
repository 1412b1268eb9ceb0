import { beforeAll, describe } from "vitest";
import { browserPath } from "../support/browser-path.ts";
import { stopRunsAfterAll } from "../support/local-run.ts";
import { everyPage } from "./every-page.ts";
import { experimentPages } from "./experiment-pages.ts";
import { firstExperiment, formPages } from "./form-pages.ts";
import { hostileNames } from "./hostile-name-pages.ts";
import { listPages } from "./list-pages.ts";
import { livePages } from "./live-pages.ts";
import { fillSite, startSite } from "./site.ts";

// The panel in a browser, against `npm start`. All tests share one run, because a start takes longer than any test.

if (browserPath === null)
  console.warn(
    "test/browser is skipped because no browser was found. Install Debian's chromium-headless-shell, or set CHROMIUM to a browser.",
  );

stopRunsAfterAll();

describe.skipIf(browserPath === null)("the panel in a browser", () => {
  beforeAll(startSite, 120_000);

  describe("the first experiment", firstExperiment);

  describe("with experiments", () => {
    beforeAll(fillSite, 120_000);

    describe("the list", listPages);
    describe("an experiment's page", experimentPages);
    describe("live pages", livePages);
    describe("hostile names", hostileNames);
    describe("forms", formPages);
    describe("every page", everyPage);
  });
});
