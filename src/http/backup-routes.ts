import { type Context, Hono } from "hono";
import { restore } from "../exposures/restore.ts";
import { describeBug } from "../log.ts";
import { failed, ok, type Result } from "../result.ts";
import { type Backup, importBackups, listBackups } from "../store/backups.ts";
import { exportLine } from "./responses.ts";
import type { AppDeps } from "../app.ts";
import { isOfType, MIB, parseInput, readText } from "./body.ts";
import { type InputError, refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { experimentInput, exportedExperiment } from "./schemas.ts";
import type { SignIn } from "./authentication.ts";

const JSON_LINES = "application/jsonl";
/** A line is a statement, and an invocation has only so many. */
const MOST_LINES = 500;
const AT_ONCE = 100;
/** D1 keeps at most so many bytes a row, and a row is shorter than its line. */
const MOST_LINE_BYTES = 2_000_000;
/** More than anyone reads. */
const MOST_ERRORS = 100;

/** All experiments with their numbers as JSON Lines, out and in again. */
export function backupRoutes({ database, clock }: AppDeps, signIn: SignIn): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const admin = signIn.require("admin");

  app.get("/export", admin, async (c) => {
    // The first page before the answer begins: what fails later can only break it off.
    const first = await listBackups(database, "");
    return new Response(stream(c, first), { headers: { "Content-Type": JSON_LINES, "Cache-Control": "no-store" } });
  });

  /** A broken stream is a broken transfer, so that nobody takes half of an export for all of it. */
  function stream(c: Context<AppEnv>, first: Backup[]): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    let page = first;
    return new ReadableStream({
      async pull(controller) {
        const last = page.at(-1);
        if (last === undefined) return controller.close();
        controller.enqueue(encoder.encode(page.map(exportLine).join("")));
        try {
          page = await listBackups(database, last.experiment.id);
        } catch (error) {
          c.var.log("error", "export.failed", { error: describeBug(error) });
          controller.error(error);
        }
      },
    });
  }

  app.post("/import", admin, async (c) => {
    if (!isOfType(c.req.header("Content-Type"), JSON_LINES))
      return refuse({ kind: "unsupported_media_type", type: JSON_LINES });
    const text = await readText(c, 8 * MIB);
    if (!text.ok) return refuse(text.failure);
    if (text.value === null) return refuse({ kind: "malformed_json" });
    const backups = parseLines(text.value);
    if (!backups.ok) return refuse({ kind: "invalid_input", errors: backups.failure });

    const imported: string[] = [];
    const skipped: { experiment_id: string; reason: string }[] = [];
    for (let from = 0; from < backups.value.length; from += AT_ONCE) {
      const done = await importBackups(database, backups.value.slice(from, from + AT_ONCE), clock());
      imported.push(...done.imported);
      skipped.push(...done.skipped.map(({ experimentId, reason }) => ({ experiment_id: experimentId, reason })));
    }
    c.var.log("info", "experiments.imported", { imported: imported.length, skipped: skipped.length });
    return c.json({ imported, skipped });
  });

  return app;
}

/** Every line's experiment, or what is wrong with the lines, by their numbers. */
function parseLines(text: string): Result<Backup[], InputError[]> {
  const lines = text.split(/\r?\n/);
  if (lines.filter(Boolean).length > MOST_LINES)
    return failed([
      { path: "", message: `may hold ${MOST_LINES} lines at once: split it, and send one part after the other` },
    ]);
  const backups: Backup[] = [];
  const errors: InputError[] = [];
  for (const [index, line] of lines.entries()) {
    if (line === "") continue;
    const backup = parseLine(line);
    if (backup.ok) backups.push(backup.value);
    else
      for (const { path, message } of backup.failure)
        errors.push({ path: [index + 1, path].filter((part) => part !== "").join("."), message });
  }
  return errors.length === 0 ? ok(backups) : failed(errors.slice(0, MOST_ERRORS));
}

function parseLine(line: string): Result<Backup, InputError[]> {
  if (new TextEncoder().encode(line).byteLength > MOST_LINE_BYTES)
    return failed([{ path: "", message: "must not be longer than 2,000,000 bytes" }]);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return failed([{ path: "", message: "must be one JSON object" }]);
  }
  const parsed = parseInput(exportedExperiment, value);
  if (!parsed.ok) return failed(parsed.failure.errors);
  const { id, created_at: createdAt, updated_at: updatedAt, ...rest } = parsed.value;
  const { as_of: asOf, computed_at: computedAt, is_final: isFinal, last_error_at: lastErrorAt } = rest;
  const experiment = { ...experimentInput(id, rest), createdAt, updatedAt };
  const { startedAt, endedAt, variants } = experiment;
  const backup = { experiment, asOf, computedAt, lastErrorAt, isFinal };
  if (isFinal && (asOf === null || asOf !== endedAt))
    return failed([{ path: "is_final", message: "must not be true before as_of has come to ended_at" }]);
  if (asOf === null && computedAt === null && rest.exposures === null) return ok({ ...backup, exposures: null });

  if (startedAt === null || asOf === null || computedAt === null || asOf < startedAt)
    return failed([{ path: "exposures", message: "needs computed_at, and as_of not before started_at" }]);
  const configured = variants.map(({ key }) => key);
  const exposures = restore(rest.exposures, { from: startedAt, to: asOf }, configured);
  return exposures === null
    ? failed([{ path: "exposures", message: "must be as it was exported, and from started_at to as_of" }])
    : ok({ ...backup, exposures });
}
