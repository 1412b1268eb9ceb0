import { describe, expect, it } from "vitest";
import type { Experiment } from "../../src/experiment.ts";
import { exposuresETag, matchesETag } from "../../src/http/etag.ts";
import { apiKeyJson, experimentJson, exportLine, exposuresJson } from "../../src/http/responses.ts";
import type { Backup } from "../../src/store/backups.ts";
import type { StoredSummary } from "../../src/store/summaries.ts";

const START = Date.UTC(2026, 5, 1);
const END = Date.UTC(2026, 5, 15);

const experiment: Experiment = {
  id: "checkout-cta",
  name: "Checkout CTA",
  environmentKey: "env_abc",
  featureName: "checkout_button",
  variants: [{ key: "control", weight: 50 }],
  metrics: [],
  startedAt: START,
  endedAt: END,
  createdAt: START - 2,
  updatedAt: START - 1,
  weightsChangedAt: START + 3,
};

const stored: StoredSummary = {
  experiment,
  version: 3,
  asOf: START + 3_600_000,
  computedAt: START + 3_601_412,
  lastErrorAt: START + 1,
  refreshRequestedAt: START + 2,
  isFinal: false,
  isIdle: false,
  exposures: '{"total_identities":1,"variants":{"2":0,"__proto__":1,"1":0}}',
  results: null,
};
const neverRefreshed: StoredSummary = {
  ...stored,
  asOf: null,
  computedAt: null,
  lastErrorAt: null,
  refreshRequestedAt: null,
  exposures: null,
};

const KEYS = [
  "experiment_id",
  "status",
  "as_of",
  "computed_at",
  "last_error_at",
  "refresh_requested_at",
  "is_final",
  "exposures",
];

describe("experimentJson", () => {
  it("has the documented keys, times in UTC with milliseconds, and the current status", () => {
    expect(experimentJson(experiment, START)).toEqual({
      id: "checkout-cta",
      name: "Checkout CTA",
      environment_key: "env_abc",
      feature_name: "checkout_button",
      variants: [{ key: "control", weight: 50 }],
      metrics: [],
      started_at: "2026-06-01T00:00:00.000Z",
      ended_at: "2026-06-15T00:00:00.000Z",
      weights_changed_at: "2026-06-01T00:00:00.003Z",
      status: "running",
      created_at: "2026-05-31T23:59:59.998Z",
      updated_at: "2026-05-31T23:59:59.999Z",
    });
  });

  it("has null for a time that is not set", () => {
    const draft = experimentJson({ ...experiment, startedAt: null, endedAt: null }, START);
    expect(draft).toMatchObject({ started_at: null, ended_at: null, status: "draft" });
  });
});

describe("exposuresJson", () => {
  it("has its keys in the documented order, and times in UTC with milliseconds", () => {
    const response = JSON.parse(exposuresJson(stored, START));
    expect(Object.keys(response)).toEqual(KEYS);
    expect(response).toMatchObject({
      experiment_id: "checkout-cta",
      status: "running",
      as_of: "2026-06-01T01:00:00.000Z",
      computed_at: "2026-06-01T01:00:01.412Z",
      last_error_at: "2026-06-01T00:00:00.001Z",
      refresh_requested_at: "2026-06-01T00:00:00.002Z",
      is_final: false,
    });
  });

  it("has null exposures, as_of and computed_at until the first refresh succeeds", () => {
    const response = JSON.parse(exposuresJson(neverRefreshed, START));
    expect(Object.keys(response)).toEqual(KEYS);
    expect(response).toEqual({
      experiment_id: "checkout-cta",
      status: "running",
      as_of: null,
      computed_at: null,
      last_error_at: null,
      refresh_requested_at: null,
      is_final: false,
      exposures: null,
    });
  });

  it("inserts the stored payload byte for byte", () => {
    expect(exposuresJson(stored, START)).toMatch(/^\{"experiment_id":"checkout-cta",/);
    expect(exposuresJson(stored, START).endsWith(`,"exposures":${stored.exposures}}`)).toBe(true);
  });

  it("derives the status from the clock", () => {
    const status = (now: number) => JSON.parse(exposuresJson(stored, now)).status;
    expect([status(START - 1), status(START), status(END)]).toEqual(["draft", "running", "completed"]);
  });
});

describe("exportLine", () => {
  const { exposures, asOf, computedAt, lastErrorAt } = stored;
  const backup: Backup = { experiment, exposures, asOf, computedAt, lastErrorAt, isFinal: true, results: null };

  it("returns one line of JSON with the experiment, without its status, and its numbers", () => {
    const line = exportLine(backup);
    expect(line.indexOf("\n")).toBe(line.length - 1);
    expect(JSON.parse(line)).toEqual({
      format: 1,
      id: "checkout-cta",
      name: "Checkout CTA",
      environment_key: "env_abc",
      feature_name: "checkout_button",
      variants: [{ key: "control", weight: 50 }],
      metrics: [],
      started_at: "2026-06-01T00:00:00.000Z",
      ended_at: "2026-06-15T00:00:00.000Z",
      weights_changed_at: "2026-06-01T00:00:00.003Z",
      created_at: "2026-05-31T23:59:59.998Z",
      updated_at: "2026-05-31T23:59:59.999Z",
      as_of: "2026-06-01T01:00:00.000Z",
      computed_at: "2026-06-01T01:00:01.412Z",
      last_error_at: "2026-06-01T00:00:00.001Z",
      is_final: true,
      results: null,
      exposures: JSON.parse(exposures ?? ""),
    });
  });

  it("inserts the stored payload byte for byte", () => {
    expect(exportLine(backup).endsWith(`,"exposures":${exposures}}\n`)).toBe(true);
  });

  it("has null for numbers that are not computed yet", () => {
    const noNumbers = { exposures: null, asOf: null, computedAt: null, lastErrorAt: null, results: null };
    const line = exportLine({ experiment, ...noNumbers, isFinal: false });
    expect(JSON.parse(line)).toMatchObject({
      as_of: null,
      computed_at: null,
      last_error_at: null,
      is_final: false,
      exposures: null,
    });
  });
});

describe("apiKeyJson", () => {
  const key = { id: "0123456789abcdef", name: "CI", environmentKey: "env", createdAt: START } as const;

  it("has the documented keys, and times in UTC with milliseconds", () => {
    expect(apiKeyJson({ ...key, role: "write", expiresAt: END })).toEqual({
      id: "0123456789abcdef",
      name: "CI",
      environment_key: "env",
      role: "write",
      created_at: "2026-06-01T00:00:00.000Z",
      expires_at: "2026-06-15T00:00:00.000Z",
    });
  });

  it("has null for all environments, and for no expiry", () => {
    const response = apiKeyJson({ ...key, environmentKey: null, role: "read", expiresAt: null });
    expect(response).toMatchObject({ environment_key: null, role: "read", expires_at: null });
  });
});

describe("exposuresETag", () => {
  it("returns one strong tag in quotes", () => {
    expect(exposuresETag(stored, START)).toMatch(/^"[\x21\x23-\x7e]+"$/);
  });

  it("changes only with the row's version and the status", () => {
    const tags = [
      exposuresETag(stored, START - 1),
      exposuresETag(stored, START),
      exposuresETag(stored, END),
      exposuresETag({ ...stored, version: 4 }, START),
      exposuresETag({ ...stored, experiment: { ...experiment, createdAt: START } }, START),
    ];
    expect(new Set(tags).size).toBe(tags.length);
    expect(exposuresETag(stored, START)).toBe(exposuresETag(stored, END - 1));
  });
});

describe("matchesETag", () => {
  const etag = '"m1x-3-running"';

  it.each([
    { header: etag },
    { header: `W/${etag}` },
    { header: `  ${etag}  ` },
    { header: `"other", ${etag}` },
    { header: `"other",W/${etag},"third"` },
    { header: `"other" , ${etag}` },
    { header: `,, ${etag} ,` },
    { header: "*" },
    { header: " * " },
  ])("finds the tag in $header", ({ header }) => {
    expect(matchesETag(header, etag)).toBe(true);
  });

  it.each([
    { header: undefined },
    { header: "" },
    { header: "," },
    { header: '"*"' },
    { header: '"a,*,b"' },
    { header: `"a, ${etag.slice(1)}` },
    { header: '"other"' },
    { header: '"m1x-3-runnin"' },
    { header: '"m1x-3-runningg"' },
    { header: "m1x-3-running" },
    { header: etag.toUpperCase() },
    { header: `w/${etag}` },
    { header: `W/W/${etag}` },
  ])("does not find the tag in $header", ({ header }) => {
    expect(matchesETag(header, etag)).toBe(false);
  });
});
