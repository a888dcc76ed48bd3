// Verifies webhooks with GitHub's own package. On stdin: a JSON array of `{ secret, headers, body }`; on stdout: a JSON
// array with `null` for each that is believed, and else the reason. Run it in the folder where the packages are installed.

import { readFileSync } from "node:fs";
import { Webhooks } from "@octokit/webhooks";

const cases = JSON.parse(readFileSync(0, "utf-8"));
const verdicts = [];
for (const { secret, headers, body } of cases) {
  try {
    const fits = await new Webhooks({ secret }).verify(body, headers["x-hub-signature-256"]);
    verdicts.push(fits ? null : "the signature does not fit");
  } catch (error) {
    verdicts.push(String(error));
  }
}
console.log(JSON.stringify(verdicts));
