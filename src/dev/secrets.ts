import { writeNewSecrets } from "./new-secrets.ts";

// `npm run secrets` writes a file with new random secrets, without printing them.

const PATH = ".secrets.json";

const unset = writeNewSecrets(PATH);
if (unset.ok) {
  console.log(`${PATH} has new secrets.

  1. Replace null where you have a value: ${unset.value.join(", ")}
  2. Upload it: npx wrangler secret bulk ${PATH}
  3. Keep it in a password manager, and delete it here.`);
} else {
  console.error(unset.failure);
  process.exitCode = 1;
}
