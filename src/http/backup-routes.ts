import { Hono } from "hono";
import { describeBug, type Log } from "../log.ts";
import { type Backup, importBackups, listBackups } from "../store/backups.ts";
import type { Authentication } from "./authentication.ts";
import { parseBackups } from "./backup-lines.ts";
import { isOfType, MIB, parseInput, readText } from "./body.ts";
import type { AppDeps } from "./deps.ts";
import { refuse } from "./problem.ts";
import type { AppEnv } from "./request-context.ts";
import { exportLine } from "./responses.ts";
import { importQuery } from "./schemas.ts";

const JSON_LINES = "application/jsonl";
/** The number of experiments that one transaction imports. */
const BATCH_SIZE = 100;

/** Exports and imports all experiments with their numbers, as JSON Lines. */
export function backupRoutes({ database, clock }: AppDeps, authentication: Authentication): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const admin = authentication.require("admin");

  app.get("/export", admin, async (c) => {
    // Reads the first page before the response starts: a later failure can only abort the transfer.
    const firstPage = await listBackups(database, "");
    return new Response(exportStream(firstPage, c.var.log), {
      headers: { "Content-Type": JSON_LINES, "Cache-Control": "no-store" },
    });
  });

  /** Streams the export. A failure aborts the transfer, so that no client mistakes a part of the export for the whole. */
  function exportStream(firstPage: Backup[], log: Log): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    let page = firstPage;
    return new ReadableStream({
      async pull(controller) {
        const last = page.at(-1);
        if (last === undefined) return controller.close();
        controller.enqueue(encoder.encode(page.map(exportLine).join("")));
        try {
          page = await listBackups(database, last.experiment.id);
        } catch (error) {
          log("error", "export.failed", { error: describeBug(error) });
          controller.error(error);
        }
      },
    });
  }

  app.post("/import", admin, async (c) => {
    if (!isOfType(c.req.header("Content-Type"), JSON_LINES))
      return refuse({ kind: "unsupported_media_type", type: JSON_LINES });
    const query = parseInput(importQuery, c.req.query());
    if (!query.ok) return refuse(query.failure);
    const { on_error: onError } = query.value;
    const text = await readText(c, 8 * MIB);
    if (!text.ok) return refuse(text.failure);
    if (text.value === null) return refuse({ kind: "malformed_json" });
    const parsed = parseBackups(text.value, onError, clock());
    if (!parsed.ok) return refuse({ kind: "invalid_input", errors: parsed.failure });
    const { backups, errors } = parsed.value;

    const imported: string[] = [];
    const skipped: { experiment_id: string; reason: string }[] = [];
    for (let from = 0; from < backups.length; from += BATCH_SIZE) {
      const outcome = await importBackups(database, backups.slice(from, from + BATCH_SIZE), clock());
      imported.push(...outcome.imported);
      skipped.push(...outcome.skipped.map(({ experimentId, reason }) => ({ experiment_id: experimentId, reason })));
    }
    const counts = { imported: imported.length, skipped: skipped.length, errors: errors.length };
    c.var.log("info", "experiments.imported", counts);
    return c.json({ imported, skipped, ...(onError === "skip" ? { errors } : {}) });
  });

  return app;
}
