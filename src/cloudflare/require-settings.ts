import { describeProblems, parseSettings, type Settings } from "../settings.ts";

/** The settings for a Durable Object. Throws if one is invalid: the Worker has answered such requests before. */
export function requireSettings(env: object): Settings {
  const settings = parseSettings({ ...env });
  if (!settings.ok) throw new Error(describeProblems(settings.failure));
  return settings.value;
}
