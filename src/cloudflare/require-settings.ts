import { describeProblems, parseSettings, type Settings } from "../settings.ts";

/** The settings of a Durable Object. Throws if one is invalid, which the Worker reports to its callers. */
export function requireSettings(env: object): Settings {
  const settings = parseSettings({ ...env });
  if (!settings.ok) throw new Error(describeProblems(settings.failure));
  return settings.value;
}
