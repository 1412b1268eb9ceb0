import { describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { warehouseSection } from "../../src/panel/warehouse-section.ts";
import { failed, ok } from "../../src/result.ts";
import type { Warehouse } from "../../src/warehouse/client.ts";
import { appDeps, emptyDatabase } from "../support/app-deps.ts";
import { idleWarehouse } from "../support/idle-warehouse.ts";
import { signInWith } from "../support/visitor.ts";

const table = { database: "flagsmith_exp", table: "events" };
const none = ok({ features: [], isTruncated: false });
const feature = {
  environmentKey: "e",
  featureName: "f",
  firstExposureAt: 0,
  lastExposureAt: 0,
  experimentId: null,
  variants: [{ key: "control", identities: 1 }],
};

describe("warehouseSection", () => {
  it("shows the advice of a failed check, with the SQL that grants access", () => {
    const text = warehouseSection({ check: failed("ClickHouse refused the user."), found: none }, table).toString();
    expect(text).toContain("ClickHouse refused the user.");
    expect(text).toContain("GRANT SELECT ON flagsmith_exp.events TO exposures;");
  });

  it.each([
    { state: "no answer in time", view: { check: null, found: none }, text: "has not answered yet" },
    { state: "no features in time", view: { check: ok(null), found: null }, text: "has not answered yet" },
    {
      state: "a failed search",
      view: { check: ok(null), found: failed("ClickHouse is overloaded.") },
      text: "is overloaded.",
    },
    { state: "no exposures", view: { check: ok(null), found: none }, text: "no exposures in the last 30 days" },
  ])("explains $state", ({ view, text }) => {
    expect(warehouseSection(view, table).toString()).toContain(text);
  });

  it.each([
    { count: 19, shares: 6, text: "about 190 identities" },
    { count: 20, shares: 0, text: "the 20 largest variants" },
  ])("shows $shares shares of $count variants, because a full list may lack some", ({ count, shares, text }) => {
    const variants = Array.from({ length: count }, (_, index) => ({ key: `v${index}`, identities: 10 }));
    const found = ok({ features: [{ ...feature, variants }], isTruncated: false });
    const section = warehouseSection({ check: ok(null), found }, table).toString();
    expect(section.match(/%/g) ?? []).toHaveLength(shares);
    expect(section).toContain(text);
    expect(section.match(/\bv\d+\b/g)).toHaveLength(6);
  });

  it("lists at most 50 features, and says that there are more", () => {
    const features = Array.from({ length: 51 }, () => feature);
    const text = warehouseSection({ check: ok(null), found: ok({ features, isTruncated: false }) }, table).toString();
    expect(text.match(/>Create</g)).toHaveLength(50);
    expect(text).toContain("There are more.");
    expect(text.length).toBeLessThan(60 * 1024);
  });
});

it("pages do not wait for a warehouse that does not answer", async () => {
  const never = () => new Promise<never>(() => undefined);
  const env = { ADMIN_TOKEN: "admin-token-of-the-tests", SESSION_SECRET: "session secret of the tests" };
  const warehouse: Warehouse = { ...idleWarehouse, select: never, withSharedDeadline: () => warehouse };
  const app = createApp(appDeps(env, emptyDatabase, { warehouse, discovery: { features: never, events: never } }));
  const visitor = await signInWith({ fetch: async (path, init) => app.request(path, init, {}) }, env.ADMIN_TOKEN);
  const begin = performance.now();
  const first = await visitor.get("/");
  expect(first.text).toContain("ClickHouse has not answered yet.");
  const filtered = await visitor.get("/?search=x");
  expect(filtered.status).toBe(200);
  const form = await visitor.get("/new?environment_key=e&feature_name=f");
  expect(form.text).toContain('value="f"');
  expect(performance.now() - begin).toBeLessThan(20_000);
});
