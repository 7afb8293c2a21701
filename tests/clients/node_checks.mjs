// What the clients in JavaScript share: fetch for HTTP, and the running of checks.

import { readFileSync } from "node:fs";

export const { BASE_URL } = process.env;
export const restarted = process.argv[2] === "after-restart";

export async function call(method, path, headers = {}, body) {
  const signal = AbortSignal.timeout(10_000);
  if (body === undefined) return fetch(BASE_URL + path, { method, headers, signal });
  const type = { "content-type": "application/json" };
  return fetch(BASE_URL + path, { method, headers: { ...headers, ...type }, body: JSON.stringify(body), signal });
}

function version(library) {
  return JSON.parse(readFileSync(new URL(`node_modules/${library}/package.json`, import.meta.url))).version;
}

// Makes all checks, says what failed, and sets the exit code.
export async function run(checks, libraries, page) {
  let failures = 0;
  for (const [name, check] of checks) {
    try {
      await check();
    } catch (error) {
      failures += 1;
      console.log(`FAILED ${name}: ${String(error).replace(/\s+/g, " ")}`);
    }
  }
  const versions = libraries.map((library) => `${library} ${version(library)}`).join(", ");
  const when = restarted ? " after the restart" : page ? ` by ${page}` : "";
  console.log(`Node (${versions})${when}: ${checks.length - failures} passed, ${failures} failed`);
  process.exitCode = failures ? 1 : 0;
}
