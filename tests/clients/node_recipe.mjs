// Runs the code of docs/verify/node.md, which tests/clients/run has written beside this file, against the server.
//
// EXPIRED_FILE holds a token of an earlier run of the server that has expired.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Refused, Unavailable, createVerifier } from "./claviger.mjs";
import { BASE_URL, call, run } from "./node_checks.mjs";

const ACCOUNT = { email: "recipe2@example.com", name: "recipe2", password: "recipe2" };

const verify = createVerifier(BASE_URL);
const seen = {};

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const decoded = (part) => JSON.parse(Buffer.from(part, "base64url"));

async function logIn() {
  const answer = await call("POST", "/login", {}, { email: ACCOUNT.email, password: ACCOUNT.password });
  assert.equal(answer.status, 200);
  return (await answer.json()).token;
}

async function refused(token, why = /./, by = verify) {
  await assert.rejects(by(token), (error) => error instanceof Refused && why.test(error.message));
}

async function goodToken() {
  const answer = await call("POST", "/user", {}, ACCOUNT);
  seen.id = (await answer.json()).user.public_id;
  [seen.token, seen.other] = [await logIn(), await logIn()];
  const claims = await verify(seen.token);
  assert.equal(claims.sub, seen.id);
  assert.equal(claims.aud, BASE_URL);
}

async function endSession() {
  const answer = await call("POST", "/logout", { authorization: `Bearer ${seen.token}` });
  assert.equal(answer.status, 204);
  seen.endedAt = performance.now();
}

function withHeader(members) {
  const [header, ...rest] = seen.other.split(".");
  return [base64url({ ...decoded(header), ...members }), ...rest].join(".");
}

async function tampered() {
  const [header, claims, signature] = seen.other.split(".");
  await refused([header, base64url({ ...decoded(claims), sub: "somebody else" }), signature].join("."), /signature/);
}

async function otherAlgorithms() {
  for (const alg of ["none", "HS256", "ES256"]) await refused(withHeader({ alg }));
}

async function otherHeaders() {
  await refused(withHeader({ typ: "jwt" }));
  await refused(withHeader({ crit: ["exp"] }), /kind/);
  await refused(withHeader({ jku: "https://evil.example" }), /kind/);
}

async function otherKinds() {
  const list = await call("GET", "/status/0");
  await refused(await list.text(), /typ/);
}

// Of a verifier of its own: what it fetches is the set for the first token, and nothing for those that follow.
async function unknownKeyIds() {
  const [fresh, before] = [createVerifier(BASE_URL), globalThis.fetch];
  let asked = 0;
  globalThis.fetch = (...request) => ((asked += 1), before(...request));
  try {
    for (let number = 0; number < 100; number += 1) await refused(withHeader({ kid: `key ${number}` }), /./, fresh);
  } finally {
    globalThis.fetch = before;
  }
  assert.equal(asked, 1, "fetches for a hundred unknown key ids");
}

async function garbage() {
  for (const text of ["", "a", "a.b.c", "....", "é.é.é", "a".repeat(9000), seen.other.slice(0, -4)]) await refused(text);
}

async function expired() {
  const token = readFileSync(process.env.EXPIRED_FILE, "ascii");
  const late = decoded(token.split(".")[1]).exp * 1000 + 6000; // its leeway, and a second
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, late - Date.now())));
  await refused(token, /exp/);
}

async function wrongAudience() {
  await refused(seen.other, /aud/, createVerifier(BASE_URL, "https://another.example"));
}

async function serverAway() {
  await assert.rejects(createVerifier("http://127.0.0.1:9")(seen.other), Unavailable);
}

async function endedSession() {
  while (performance.now() - seen.endedAt < 60_000) {
    try {
      await verify(seen.token);
    } catch (error) {
      assert.ok(error instanceof Refused && /ended/.test(error.message), String(error));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.fail("a minute later the token is still taken");
}

async function otherSession() {
  assert.equal((await verify(seen.other)).sub, seen.id);
}

const CHECKS = [
  ["a good token", goodToken],
  ["its session ends", endSession],
  ["other claims", tampered],
  ["other algorithms", otherAlgorithms],
  ["other headers", otherHeaders],
  ["a status list in place of a token", otherKinds],
  ["unknown key ids", unknownKeyIds],
  ["garbage", garbage],
  ["another audience", wrongAudience],
  ["a server that is away", serverAway],
  ["a session that has ended is refused within a minute", endedSession],
  ["another session of the same account goes on", otherSession],
  ["an expired token", expired],
];

await run(CHECKS, ["jose"], "docs/verify/node.md");
