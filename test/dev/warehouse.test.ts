import { createClient } from "@clickhouse/client-web";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { users } from "../support/users.ts";

const { owner, reader } = users;

/** Sends a request to ClickHouse's HTTP interface. */
async function call(search: Record<string, string>, init: RequestInit) {
  const url = new URL(inject("warehouseUrl"));
  url.search = new URLSearchParams(search).toString();
  const response = await fetch(url, init);
  return {
    status: response.status,
    text: await response.text(),
    code: response.headers.get("x-clickhouse-exception-code"),
  };
}

const as = (user: { name: string; password: string }) => ({
  headers: { Authorization: `Basic ${Buffer.from(`${user.name}:${user.password}`).toString("base64")}` },
});

describe("the embedded warehouse", () => {
  it("answers a ping without a query or credentials", async () => {
    const ping = await fetch(new URL("/ping", inject("warehouseUrl")));
    expect(await ping.text()).toBe("Ok.\n");
  });

  it("does not announce that it ends idle connections, because a client could be sending a query just then", async () => {
    const ping = await fetch(new URL("/ping", inject("warehouseUrl")));
    await ping.text();
    expect(ping.headers.get("Keep-Alive")).toBeNull();
  });

  it("accepts a query in the URL, in the body, or in both", async () => {
    expect((await call({ query: "SELECT 1" }, as(owner))).text).toBe("1\n");
    expect((await call({}, { method: "POST", body: "SELECT 2", ...as(owner) })).text).toBe("2\n");
    expect((await call({ query: "SELECT" }, { method: "POST", body: "3", ...as(owner) })).text).toBe("3\n");
  });

  it("uses the format of the statement, with default_format as the default", async () => {
    expect((await call({ query: "SELECT 1 AS a", default_format: "JSONEachRow" }, as(owner))).text).toBe('{"a":1}\n');
    const named = await call({ query: "SELECT 1 AS a FORMAT CSV", default_format: "JSONEachRow" }, as(owner));
    expect(named.text).toBe("1\n");
  });

  it("unescapes and binds parameters", async () => {
    const search = { query: "SELECT {text:String} AS text FORMAT JSONEachRow", param_text: "it\\'s\\ta tab \\\\ \\n" };
    expect(JSON.parse((await call(search, as(owner))).text)).toEqual({ text: "it's\ta tab \\ \n" });
  });

  it("applies settings to a single request", async () => {
    const query = "SELECT getSetting('max_threads')";
    expect((await call({ query, max_threads: "3" }, as(owner))).text).toBe("3\n");
    expect((await call({ query }, as(owner))).text).not.toBe("3\n");
  });

  it("answers an exception with its code and ClickHouse's status for it", async () => {
    expect(await call({ query: "SELECT * FROM nothing" }, as(owner))).toMatchObject({ status: 404, code: "60" });
    expect(await call({ query: "SELEC 1" }, as(owner))).toMatchObject({ status: 400, code: "62" });
  });

  it("accepts credentials in all of ClickHouse's forms, and rejects wrong ones", async () => {
    const byHeaders = { headers: { "X-ClickHouse-User": reader.name, "X-ClickHouse-Key": reader.password } };
    expect((await call({ query: "SELECT 1" }, byHeaders)).status).toBe(200);
    const inUrl = { query: "SELECT 1", user: reader.name, password: reader.password };
    expect((await call(inUrl, {})).status).toBe(200);
    for (const wrong of [
      { ...reader, password: "no" },
      { name: "nobody", password: "" },
    ]) {
      expect(await call({ query: "SELECT 1" }, as(wrong))).toMatchObject({ status: 403, code: "516" });
    }
    expect((await call({ query: "SELECT 1" }, {})).status).toBe(403);
  });

  it("lets a reader set settings but not write", async () => {
    expect((await call({ query: "SELECT 1", max_threads: "1" }, as(reader))).status).toBe(200);
    expect((await call({ query: "CREATE DATABASE theirs" }, as(reader))).code).toBe("164");
  });
});

describe("the official client", () => {
  const client = createClient({
    url: inject("warehouseUrl"),
    username: reader.name,
    password: reader.password,
    clickhouse_settings: { date_time_input_format: "best_effort" },
  });
  const ownerClient = createClient({
    url: inject("warehouseUrl"),
    username: owner.name,
    password: Buffer.from(owner.password).toString("latin1"),
    clickhouse_settings: { date_time_input_format: "best_effort" },
  });
  beforeAll(() =>
    ownerClient.command({
      query: "CREATE TABLE IF NOT EXISTS protocol (at DateTime64(3), note String) ENGINE = Memory",
    }),
  );

  it("inserts and reads times in UTC", async () => {
    const values = [
      { at: "2026-06-01T00:00:00.123Z", note: "one" },
      { at: "2026-06-01 00:00:00.123", note: "two" },
    ];
    await ownerClient.insert({ table: "protocol", values, format: "JSONEachRow" });
    const query = "SELECT note, toUnixTimestamp64Milli(at) = 1780272000123 AS utc FROM protocol ORDER BY note";
    const result = await client.query({ query, format: "JSONEachRow" });
    expect(await result.json()).toEqual([
      { note: "one", utc: 1 },
      { note: "two", utc: 1 },
    ]);
  });

  it("pings", async () => {
    expect(await client.ping()).toEqual({ success: true });
  });
});
