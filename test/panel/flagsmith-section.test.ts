import { describe, expect, it } from "vitest";
import { flagsmithSettings, flagsmithStatus, sourceSection, viewFlagsmith } from "../../src/panel/flagsmith-section.ts";
import { emptyDatabase } from "../support/app-deps.ts";

const NOW = Date.UTC(2026, 5, 1);
const settingsOf = (url: string) => ({ apiUrl: new URL(url), apiKey: "key", environments: ["env", "other"] });
const viewOf = (url: string, scope: string | null = null) => viewFlagsmith(emptyDatabase, settingsOf(url), scope);
const experiment = {
  id: "flagsmith-7",
  name: "x",
  source: "flagsmith" as const,
  environmentKey: "env",
  featureName: "f",
  variants: [],
  metrics: [],
  startedAt: 0,
  endedAt: null,
  createdAt: 0,
  updatedAt: 0,
  weightsChangedAt: null,
};

describe("what pages say about Flagsmith", () => {
  it("names the settings while nothing is synced", async () => {
    const view = await viewFlagsmith(emptyDatabase, null, null);
    expect(flagsmithSettings(view).toString()).toContain("Set FLAGSMITH_API_KEY and FLAGSMITH_ENVIRONMENTS");
    expect(flagsmithStatus(view, NOW)).toBe("");
    expect(sourceSection(experiment, view, NOW).toString()).toMatch(/no longer synced.*Change it there\./);
  });

  it.each([
    ["Flagsmith's cloud", "https://api.flagsmith.com/api/v1/", "https://app.flagsmith.com"],
    ["another installation", "https://flags.example:8000/api/v1/", "https://flags.example:8000"],
  ])("links to the dashboard of %s", async (_, url, dashboard) => {
    const text = sourceSection(experiment, await viewOf(url), NOW).toString();
    expect(text).toContain(`<a href="${dashboard}">Change it in Flagsmith</a>`);
    expect(text).toContain("experiment 7 of the environment");
    expect(text).toContain("not synced yet");
  });

  it("shows a visitor with a key of one environment only that one", async () => {
    const { environments } = await viewOf("https://api.flagsmith.com/api/v1/", "other");
    expect(environments.map(({ environmentKey }) => environmentKey)).toEqual(["other"]);
  });

  it("escapes what comes from Flagsmith", () => {
    const notes = [{ experimentId: "flagsmith-7", text: "two variants have the key <b>\u202e" }];
    const state = { environmentKey: "env", listedAt: NOW, syncedAt: NOW, failedAt: NOW, failure: "<i>", notes };
    const view = { environments: [state], dashboard: "https://flags.example" };
    for (const text of [flagsmithStatus(view, NOW), sourceSection(experiment, view, NOW)])
      expect(text.toString()).not.toMatch(/<b>|<i>|\u202e/);
  });
});
