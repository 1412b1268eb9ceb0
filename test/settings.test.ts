import { describe, expect, it } from "vitest";
import {
  describeProblems,
  findShortSecrets,
  parseSettings,
  type SettingProblem,
  type Settings,
} from "../src/settings.ts";

const WEBHOOK_SECRET = "whsec_c3RhbmRhcmQgd2ViaG9vayBzZWNyZXQ=";
const ALERT_WEBHOOK_SECRET = "whsec_c2VjcmV0IG9mIGFsZXJ0cw==";

function settingsOf(env: Record<string, unknown>): Settings {
  const settings = parseSettings(env);
  if (!settings.ok) throw new Error(describeProblems(settings.failure));
  return settings.value;
}

function problemsOf(env: Record<string, unknown>): SettingProblem[] {
  const settings = parseSettings(env);
  return settings.ok ? [] : settings.failure;
}

const DEFAULTS: Settings = {
  warehouse: {
    url: new URL("http://127.0.0.1:8123"),
    database: "default",
    user: "default",
    password: "",
    table: "events",
    queryTimeoutMs: 120_000,
  },
  adminToken: null,
  readToken: null,
  publicRead: false,
  webhookSecret: null,
  alertEndpoint: null,
  sessionSecret: null,
  flagsmithWebhookSecret: null,
  flagsmith: null,
  refreshMinIntervalMs: 300_000,
  settleMs: 3_600_000,
  eventsTtlDays: 90,
  queryConcurrency: 6,
  sweepMs: 900_000,
  cacheSeconds: 5,
  states: null,
  breakdownTraits: [],
  corsOrigins: [],
  publicUrl: null,
  clientAddressHeader: null,
};

const TEXTS = ["CLICKHOUSE_DATABASE", "CLICKHOUSE_USER", "EVENTS_TABLE"];
const SECRETS = [
  "CLICKHOUSE_PASSWORD",
  "ADMIN_TOKEN",
  "READ_TOKEN",
  "WEBHOOK_SECRET",
  "ALERT_WEBHOOK_SECRET",
  "FLAGSMITH_WEBHOOK_SECRET",
  "SESSION_SECRET",
];
const SECONDS = [
  "LONGEST_INSERT_SECONDS",
  "REFRESH_MIN_INTERVAL_SECONDS",
  "SETTLE_SECONDS",
  "QUERY_TIMEOUT_SECONDS",
  "CACHE_SECONDS",
  "SWEEP_SECONDS",
];
const ALL = [
  "ALERT_WEBHOOK_URL",
  "CLICKHOUSE_URL",
  "FLAGSMITH_API_KEY",
  "FLAGSMITH_API_URL",
  "FLAGSMITH_ENVIRONMENTS",
  ...TEXTS,
  ...SECRETS,
  ...SECONDS,
  "EVENTS_TTL_DAYS",
  "EXPOSURE_SOURCE",
  "ALERT_FORMAT",
  "QUERY_CONCURRENCY",
  "PUBLIC_READ",
  "BREAKDOWN_TRAITS",
  "CORS_ORIGINS",
  "PUBLIC_URL",
  "CLIENT_ADDRESS_HEADER",
];

describe("settings", () => {
  it("have the documented defaults when none is set", () => {
    expect(settingsOf({})).toEqual(DEFAULTS);
  });

  it.each([
    { unset: "empty", value: "" },
    { unset: "undefined", value: undefined },
    { unset: "null", value: null },
  ])("that are $unset are not set", ({ value }) => {
    expect(settingsOf(Object.fromEntries(ALL.map((name) => [name, value])))).toEqual(DEFAULTS);
  });

  it("are read from text, as a process's environment has them", () => {
    const settings = settingsOf({
      CLICKHOUSE_URL: "https://clickhouse.example:8443/proxy",
      CLICKHOUSE_DATABASE: "flags",
      CLICKHOUSE_USER: "reader",
      CLICKHOUSE_PASSWORD: "pässword ☃",
      ADMIN_TOKEN: "admin-token-of-16",
      READ_TOKEN: "read-token-of-16+",
      WEBHOOK_SECRET,
      FLAGSMITH_WEBHOOK_SECRET: "flagsmith",
      FLAGSMITH_API_KEY: "flagsmith-key",
      FLAGSMITH_API_URL: "https://flagsmith.example/api/v1",
      FLAGSMITH_ENVIRONMENTS: "env_a, env_b,env_a",
      ALERT_WEBHOOK_URL: "https://alerts.example/hook?key=1",
      ALERT_WEBHOOK_SECRET,
      SESSION_SECRET: "session secret of 32 characters.",
      EVENTS_TABLE: "events_distributed",
      EVENTS_TTL_DAYS: "0",
      EXPOSURE_SOURCE: "states",
      BREAKDOWN_TRAITS: "plan, country,,plan",
      LONGEST_INSERT_SECONDS: "30",
      REFRESH_MIN_INTERVAL_SECONDS: "10",
      SETTLE_SECONDS: "0",
      QUERY_CONCURRENCY: "24",
      SWEEP_SECONDS: "60",
      QUERY_TIMEOUT_SECONDS: "1",
      CACHE_SECONDS: "60",
      PUBLIC_READ: "true",
      CORS_ORIGINS: "https://app.example, http://127.0.0.1:3000",
      PUBLIC_URL: "https://exposures.example",
      CLIENT_ADDRESS_HEADER: "X-Real-IP",
    });
    expect(settings).toEqual({
      warehouse: {
        url: new URL("https://clickhouse.example:8443/proxy"),
        database: "flags",
        user: "reader",
        password: "pässword ☃",
        table: "events_distributed",
        queryTimeoutMs: 1000,
      },
      adminToken: "admin-token-of-16",
      readToken: "read-token-of-16+",
      publicRead: true,
      webhookSecret: WEBHOOK_SECRET,
      flagsmithWebhookSecret: "flagsmith",
      flagsmith: {
        apiUrl: new URL("https://flagsmith.example/api/v1/"),
        apiKey: "flagsmith-key",
        environments: ["env_a", "env_b"],
      },
      sessionSecret: "session secret of 32 characters.",
      alertEndpoint: {
        url: new URL("https://alerts.example/hook?key=1"),
        format: "standard",
        secret: ALERT_WEBHOOK_SECRET,
      },
      refreshMinIntervalMs: 10_000,
      settleMs: 0,
      eventsTtlDays: 0,
      queryConcurrency: 24,
      sweepMs: 60_000,
      cacheSeconds: 60,
      states: { longestInsertMs: 30_000 },
      breakdownTraits: ["plan", "country"],
      corsOrigins: ["https://app.example", "http://127.0.0.1:3000"],
      publicUrl: "https://exposures.example",
      clientAddressHeader: "X-Real-IP",
    });
  });

  it("are read from numbers and flags, as a Worker's vars have them", () => {
    const settings = settingsOf({
      REFRESH_MIN_INTERVAL_SECONDS: 0,
      SETTLE_SECONDS: 7200,
      QUERY_TIMEOUT_SECONDS: 30,
      CACHE_SECONDS: 0,
      PUBLIC_READ: true,
    });
    expect(settings).toMatchObject({ refreshMinIntervalMs: 0, settleMs: 7_200_000, cacheSeconds: 0, publicRead: true });
    expect(settings.warehouse.queryTimeoutMs).toBe(30_000);
    expect(settingsOf({ PUBLIC_READ: false }).publicRead).toBe(false);
    expect(settingsOf({ PUBLIC_READ: "false" }).publicRead).toBe(false);
  });

  it("may be as long as the longest query that a Cron Trigger has time for", () => {
    expect(settingsOf({ QUERY_TIMEOUT_SECONDS: "600" }).warehouse.queryTimeoutMs).toBe(600_000);
  });

  it("may open the answers to pages of every origin", () => {
    expect(settingsOf({ CORS_ORIGINS: "*" }).corsOrigins).toEqual(["*"]);
    expect(settingsOf({ CORS_ORIGINS: "https://app.example,*" }).corsOrigins).toEqual(["https://app.example", "*"]);
  });

  it("say nothing of inserts where identities are counted from the events", () => {
    expect(settingsOf({ EXPOSURE_SOURCE: "events", LONGEST_INSERT_SECONDS: "30" }).states).toBe(null);
    expect(settingsOf({ EXPOSURE_SOURCE: "states" }).states).toEqual({ longestInsertMs: 600_000 });
  });

  it("leave other bindings alone", () => {
    expect(settingsOf({ DB: {}, COORDINATOR: {}, PATH: "/bin", CACHE_SECOND: "x" })).toEqual(DEFAULTS);
  });
});

describe("a malformed setting is named", () => {
  const malformed: [setting: string, values: unknown[]][] = [
    [
      "CLICKHOUSE_URL",
      [
        "clickhouse.example:8443",
        "//clickhouse.example",
        "not a url",
        "http://",
        "ftp://clickhouse.example",
        "xhttp://clickhouse.example",
        "clickhouse://clickhouse.example:9000",
        "http://clickhouse.example/?database=x",
        "http://clickhouse.example/#fragment",
        8123,
        true,
        {},
      ],
    ],
    ...[...TEXTS, ...SECRETS].map((setting): [string, unknown[]] => [setting, [17, true, {}, ["x"]]]),
    ...["WEBHOOK_SECRET", "ALERT_WEBHOOK_SECRET"].map((setting): [string, unknown[]] => [
      setting,
      ["whsec_", "whsec_not base64!", "whsec_A", "whsec_Zm9v-_"],
    ]),
    ...[...SECONDS, "QUERY_CONCURRENCY"].map((setting): [string, unknown[]] => [
      setting,
      [
        "-1",
        "1.5",
        "1e3",
        "0x10",
        " 5",
        "5s",
        "five",
        "9999999999",
        -1,
        1.5,
        Number.NaN,
        Infinity,
        1e12,
        true,
        {},
        ["5"],
      ],
    ]),
    ["EVENTS_TABLE", [" ", "\t", "\u00a0"]],
    ["QUERY_TIMEOUT_SECONDS", ["0", 0, "601", 1e6]],
    ...["ADMIN_TOKEN", "READ_TOKEN"].map((setting): [string, unknown[]] => [
      setting,
      ["a token", " token", "token ", "token\n", "to\tken", "töken", "token\u00a0", "token\x7f"],
    ]),
    ["FLAGSMITH_API_KEY", ["Api-Key ser.abc", " abc", "abc\n", "schlüssel", 17, {}]],
    [
      "FLAGSMITH_API_URL",
      [
        "api.flagsmith.com",
        "ftp://flagsmith.example",
        "https://u:p@flagsmith.example/",
        "https://f.example/?a=b",
        "https://f.example/#a",
        17,
        {},
      ],
    ],
    ["FLAGSMITH_ENVIRONMENTS", ["a/b", "ser.abc", "..", "a b", "a;b", 17, {}]],
    ["EXPOSURE_SOURCE", ["Events", "raw", " states", 1, true, {}]],
    ["BREAKDOWN_TRAITS", ["a,b,c,d,e,f,g,h,i,j,k", 1, true, {}]],
    ["QUERY_CONCURRENCY", ["0", 0, "101", 1000]],
    ["PUBLIC_READ", ["yes", "1", "TRUE", " true", 1, 0, {}]],
    [
      "CORS_ORIGINS",
      [
        "app.example",
        "https://app.example/",
        "https://app.example/page",
        "https://APP.example",
        "https://*.app.example",
        "https://a.example https://b.example",
        "https://a.example;https://b.example",
        "null",
        "file:///page.html",
        true,
        {},
      ],
    ],
    [
      "PUBLIC_URL",
      [
        ...[
          "exposures.example",
          "ftp://exposures.example",
          "https://exposures.example/app",
          "https://exposures.example/?a=1",
        ],
        ...["https://user@exposures.example", "https://exposures.example/#a", "https://", 1, true, {}],
      ],
    ],
    ["CLIENT_ADDRESS_HEADER", ["X Real IP", "X-Real-IP: 1", "x_real_ip", " X-Real-IP", 1, {}]],
  ];
  const cases = malformed.flatMap(([setting, values]) =>
    values.map((value) => ({ setting, value, written: typeof value === "string" ? `"${value}"` : String(value) })),
  );

  it.each(cases)("$setting as $written", ({ setting, value }) => {
    const problems = problemsOf({ [setting]: value });
    expect(problems.map((problem) => problem.setting)).toEqual([setting]);
    const line = describeProblems(problems);
    expect(line).toMatch(new RegExp(`^${setting} must [^\\n]+$`));
  });
});

describe("problems with settings", () => {
  const bad: Record<string, unknown> = {
    CLICKHOUSE_URL: "hxxp://url-of-the-test",
    CLICKHOUSE_DATABASE: 101,
    CLICKHOUSE_USER: 102,
    CLICKHOUSE_PASSWORD: 103,
    ADMIN_TOKEN: 104,
    READ_TOKEN: 105,
    WEBHOOK_SECRET: "whsec_!secret-of-the-test!",
    FLAGSMITH_WEBHOOK_SECRET: 106,
    FLAGSMITH_API_KEY: "key of-the-test",
    FLAGSMITH_API_URL: "ftp://api-of-the-test",
    FLAGSMITH_ENVIRONMENTS: "environment of-the-test",
    ALERT_WEBHOOK_URL: "hxxp://alerts-of-the-test",
    ALERT_WEBHOOK_SECRET: "whsec_!alerts-of-the-test!",
    ALERT_FORMAT: "format-of-the-test",
    SESSION_SECRET: 108,
    SWEEP_SECONDS: "sweeps-of-the-test",
    EVENTS_TABLE: 107,
    EVENTS_TTL_DAYS: "days-of-the-test",
    EXPOSURE_SOURCE: "source-of-the-test",
    BREAKDOWN_TRAITS: 109,
    LONGEST_INSERT_SECONDS: "insert-of-the-test",
    REFRESH_MIN_INTERVAL_SECONDS: "interval-of-the-test",
    SETTLE_SECONDS: "settle-of-the-test",
    QUERY_CONCURRENCY: "concurrency-of-the-test",
    QUERY_TIMEOUT_SECONDS: "timeout-of-the-test",
    CACHE_SECONDS: "cache-of-the-test",
    PUBLIC_READ: "flag-of-the-test",
    CORS_ORIGINS: "origin-of-the-test",
    PUBLIC_URL: "url-of-the-test",
    CLIENT_ADDRESS_HEADER: "header of-the-test",
  };

  it("are all reported, each once, in one line", () => {
    const problems = problemsOf(bad);
    expect(problems.map(({ setting }) => setting).sort()).toEqual([...ALL].sort());
    const line = describeProblems(problems);
    expect(line).not.toContain("\n");
    expect(line.split("; ")).toEqual(problems.map(({ setting, message }) => `${setting} ${message}`));
    for (const setting of ALL) expect(line).toContain(`${setting} must`);
  });

  it("never repeat a value", () => {
    const line = describeProblems(problemsOf(bad));
    for (const value of Object.values(bad)) expect(line).not.toContain(String(value));
    expect(line).not.toContain("of-the-test");
  });

  it("never repeat the value of a setting that is right", () => {
    const right = { CLICKHOUSE_PASSWORD: "password-1", ADMIN_TOKEN: "token-1", READ_TOKEN: "token-2", WEBHOOK_SECRET };
    const line = describeProblems(problemsOf({ ...right, CACHE_SECONDS: "x" }));
    for (const value of Object.values(right)) expect(line).not.toContain(value);
  });
});

describe("CLICKHOUSE_URL", () => {
  it.each([
    { holds: "a user and a password", url: "https://alice:s3cret@clickhouse.example:8443" },
    { holds: "only a user", url: "https://alice@clickhouse.example:8443" },
    { holds: "only a password", url: "https://:s3cret@clickhouse.example:8443" },
    { holds: "credentials and a query", url: "https://alice:s3cret@clickhouse.example/?x=1" },
  ])("is refused when it holds $holds, and neither is repeated", ({ url }) => {
    const line = describeProblems(problemsOf({ CLICKHOUSE_URL: url }));
    expect(line).toMatch(/^CLICKHOUSE_URL must/);
    expect(line).not.toMatch(/alice|s3cret/);
  });

  it("names the settings that credentials belong in", () => {
    const line = describeProblems(problemsOf({ CLICKHOUSE_URL: "https://alice:s3cret@clickhouse.example:8443" }));
    expect(line).toContain("CLICKHOUSE_USER");
    expect(line).toContain("CLICKHOUSE_PASSWORD");
  });

  it.each(["http://127.0.0.1:8123", "http://127.0.0.1:8123/", "https://[::1]:8443/a/b", "HTTPS://ch.example"])(
    "may be %s",
    (url) => {
      expect(settingsOf({ CLICKHOUSE_URL: url }).warehouse.url.href).toBe(new URL(url).href);
    },
  );
});

describe("READ_TOKEN", () => {
  it("must differ from ADMIN_TOKEN, because it would have every right", () => {
    const env = { ADMIN_TOKEN: "token-of-the-test", READ_TOKEN: "token-of-the-test" };
    const message = "must differ from ADMIN_TOKEN, because a token has one right";
    expect(problemsOf(env)).toEqual([{ setting: "READ_TOKEN", message }]);
    expect(problemsOf({ ...env, ADMIN_TOKEN: 1 })).toMatchObject([{ setting: "ADMIN_TOKEN" }]);
    expect(settingsOf({ ...env, ADMIN_TOKEN: "" })).toMatchObject({ adminToken: null, readToken: env.READ_TOKEN });
  });
});

describe("FLAGSMITH_ENVIRONMENTS", () => {
  it("must name an environment if there is an API key", () => {
    const message = "must name an environment, because FLAGSMITH_API_KEY is set";
    for (const environments of [undefined, " , "])
      expect(problemsOf({ FLAGSMITH_API_KEY: "key", FLAGSMITH_ENVIRONMENTS: environments })).toEqual([
        { setting: "FLAGSMITH_ENVIRONMENTS", message },
      ]);
    expect(settingsOf({ FLAGSMITH_ENVIRONMENTS: "env" }).flagsmith).toBe(null);
  });
});

describe("ALERT_WEBHOOK_URL", () => {
  it("needs the secret that signs what is sent there", () => {
    expect(problemsOf({ ALERT_WEBHOOK_URL: "https://alerts.example" })).toEqual([
      { setting: "ALERT_WEBHOOK_URL", message: expect.stringContaining("without ALERT_WEBHOOK_SECRET") },
    ]);
  });

  it("needs no secret in Slack's format, which has no signature", () => {
    const env = { ALERT_WEBHOOK_URL: "https://hooks.slack.example/x", ALERT_FORMAT: "slack" };
    const alertEndpoint = { url: new URL(env.ALERT_WEBHOOK_URL), format: "slack" };
    expect(settingsOf(env).alertEndpoint).toEqual(alertEndpoint);
    expect(settingsOf({ ...env, ALERT_WEBHOOK_SECRET }).alertEndpoint).toEqual(alertEndpoint);
  });

  it.each(["alerts.example", "ftp://alerts.example", "https://user:password@alerts.example", "/hook"])(
    "must not be %s",
    (url) => {
      const problems = problemsOf({ ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET });
      expect(problems).toEqual([{ setting: "ALERT_WEBHOOK_URL", message: expect.stringMatching(/^must be an http/) }]);
    },
  );

  it("is not reported if only ALERT_WEBHOOK_SECRET is invalid", () => {
    const problems = problemsOf({ ALERT_WEBHOOK_URL: "https://alerts.example", ALERT_WEBHOOK_SECRET: "whsec_!" });
    expect(problems.map(({ setting }) => setting)).toEqual(["ALERT_WEBHOOK_SECRET"]);
  });
});

describe("ALERT_WEBHOOK_SECRET", () => {
  it("must differ from WEBHOOK_SECRET", () => {
    const problems = problemsOf({ ALERT_WEBHOOK_SECRET: WEBHOOK_SECRET, WEBHOOK_SECRET, CACHE_SECONDS: "x" });
    expect(problems.find(({ setting }) => setting === "ALERT_WEBHOOK_SECRET")?.message).toMatch(/^must differ/);
    expect(problemsOf({ ALERT_WEBHOOK_SECRET, WEBHOOK_SECRET })).toEqual([]);
  });
});

describe("PUBLIC_URL", () => {
  it.each(["https://exposures.example", "https://exposures.example/", "HTTPS://EXPOSURES.example:443"])(
    "is an origin: %s",
    (url) => {
      expect(settingsOf({ PUBLIC_URL: url }).publicUrl).toBe("https://exposures.example");
    },
  );
});

describe("a secret", () => {
  const settings = [
    { setting: "ADMIN_TOKEN", min: 16 },
    { setting: "READ_TOKEN", min: 16 },
    { setting: "SESSION_SECRET", min: 32 },
  ];

  it.each(settings)("has at least $min characters if PUBLIC_URL is not local: $setting", ({ setting, min }) => {
    const PUBLIC_URL = "https://exposures.example";
    expect(problemsOf({ PUBLIC_URL, [setting]: "x".repeat(min - 1) })).toEqual([
      { setting, message: expect.stringContaining(`at least ${min} characters`) },
    ]);
    expect(problemsOf({ PUBLIC_URL, [setting]: "x".repeat(min) })).toEqual([]);
  });

  it.each(["", "http://127.0.0.1:8787", "http://localhost", "http://[::1]:8787"])(
    "may be short if only this machine reaches the service: PUBLIC_URL=%s",
    (PUBLIC_URL) => {
      const found = settingsOf({ PUBLIC_URL, ADMIN_TOKEN: "a", READ_TOKEN: "r", SESSION_SECRET: "s" });
      expect(findShortSecrets(found).map(({ setting }) => setting)).toEqual(settings.map(({ setting }) => setting));
    },
  );

  it("is not too short if it is not set", () => {
    expect(findShortSecrets(settingsOf({}))).toEqual([]);
  });
});
