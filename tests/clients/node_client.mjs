// Talks to a Claviger as a service written in JavaScript would: fetch for HTTP, jose for the tokens.
//
// BASE_URL names the server, whose data must be new. TOKEN_FILE keeps a token for the second run, which is made with
// the argument "after-restart" once the server has been started again on the same data.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import * as jose from "jose";
import { BASE_URL, call, restarted, run } from "./node_checks.mjs";

const { TOKEN_FILE } = process.env;
const ACCOUNT = { email: "node1@example.com", name: "node1", password: "node1" };
const WANTED = { issuer: BASE_URL, audience: BASE_URL, algorithms: ["RS256"], typ: "at+jwt" };

const seen = {}; // what earlier checks found and later ones need: public_id, token

// HTTP

const profile = (token) => call("GET", "/user/profile", { authorization: `Bearer ${token}` });

async function signUp() {
  const answer = await call("POST", "/user", {}, ACCOUNT);
  assert.equal(answer.status, 201);
  seen.publicId = (await answer.json()).user.public_id;
}

async function logIn() {
  const answer = await call("POST", "/login", {}, { email: ACCOUNT.email, password: ACCOUNT.password });
  assert.equal(answer.status, 200);
  seen.token = (await answer.json()).token;
  writeFileSync(TOKEN_FILE, seen.token);
}

async function opensProfile() {
  const answer = await profile(seen.token);
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), { user: { email: ACCOUNT.email, name: ACCOUNT.name } });
}

// The two ways to the key

const remoteSet = () => jose.createRemoteJWKSet(new URL(BASE_URL + "/.well-known/jwks.json"));

async function startingKey() {
  const answer = await call("GET", "/jwks", { authorization: `Bearer ${seen.token}` });
  assert.equal(answer.status, 200);
  return (await answer.json()).keys;
}

async function verifiesWithRemoteSet() {
  await jose.jwtVerify(seen.token, remoteSet(), WANTED);
}

async function verifiesWithStartingKey() {
  const key = await startingKey();
  await jose.jwtVerify(seen.token, await jose.importJWK(key), WANTED);
}

async function isAsPromised() {
  const { payload, protectedHeader } = await jose.jwtVerify(seen.token, remoteSet(), WANTED);
  assert.equal(payload.sub, seen.publicId);
  assert.equal(payload.public_id, seen.publicId);
  for (const name of ["jti", "client_id"]) assert.ok(typeof payload[name] === "string" && payload[name], name);
  for (const name of ["iat", "exp"]) assert.ok(Number.isInteger(payload[name]), name);
  assert.equal(protectedHeader.kid, await jose.calculateJwkThumbprint(await startingKey()));
}

async function otherReadersRefuse() {
  const isAnother = (claim) => (error) => error.code === "ERR_JWT_CLAIM_VALIDATION_FAILED" && error.claim === claim;
  for (const [option, claim] of [["issuer", "iss"], ["audience", "aud"], ["typ", "typ"]]) {
    const wanted = { ...WANTED, [option]: "https://another.example" };
    await assert.rejects(jose.jwtVerify(seen.token, remoteSet(), wanted), isAnother(claim));
  }
}

// Tokens that nobody may take

const base64url = (text) => Buffer.from(text).toString("base64url");

// The token with another character in the middle of one of its three parts.
function altered(part) {
  const parts = seen.token.split(".");
  const middle = parts[part].length >> 1;
  const other = parts[part][middle] === "A" ? "B" : "A";
  parts[part] = parts[part].slice(0, middle) + other + parts[part].slice(middle + 1);
  return parts.join(".");
}

// The token's own header, but for the algorithm, and its claims: all that is to be signed.
function withAlgorithm(alg) {
  const header = { ...jose.decodeProtectedHeader(seen.token), alg };
  return base64url(JSON.stringify(header)) + "." + seen.token.split(".")[1];
}

const unsigned = () => withAlgorithm("none") + ".";

async function signedWithPublicKey() {
  const pem = await jose.exportSPKI(await jose.importJWK(await startingKey(), "RS256", { extractable: true }));
  const start = withAlgorithm("HS256");
  return start + "." + createHmac("sha256", pem).update(start).digest("base64url");
}

async function refusedBySet(token) {
  await assert.rejects(jose.jwtVerify(token, remoteSet(), WANTED), jose.errors.JOSEError);
}

async function refusedByKey(token) {
  const key = await jose.importJWK(await startingKey());
  await assert.rejects(jose.jwtVerify(token, key, WANTED), jose.errors.JOSEError);
}

async function refusedByServer(token) {
  const answer = await profile(token);
  assert.equal(answer.status, 401);
  assert.match(answer.headers.get("content-type"), /^application\/problem\+json/);
}

const FORGERIES = [
  ["another character in the header", () => altered(0)],
  ["another character in the claims", () => altered(1)],
  ["another character in the signature", () => altered(2)],
  ["alg none without a signature", unsigned],
  ["HS256 keyed with the public key", signedWithPublicKey],
];
const READERS = [
  ["jose with the set", refusedBySet],
  ["jose with the key of /jwks", refusedByKey],
  ["the server", refusedByServer],
];
const REFUSALS = FORGERIES.flatMap(([what, forge]) =>
  READERS.map(([reader, refused]) => [`${what} is refused by ${reader}`, async () => refused(await forge())]),
);

const FIRST = [
  ["sign-up makes the account", signUp],
  ["POST /login", logIn],
  ["the token opens the profile", opensProfile],
  ["jose verifies with the well-known set", verifiesWithRemoteSet],
  ["jose verifies with the key of /jwks", verifiesWithStartingKey],
  ["the token is as promised", isAsPromised],
  ["another issuer, audience or type is refused", otherReadersRefuse],
  ...REFUSALS,
];

const AFTER_RESTART = [
  ["the old token: jose verifies with the well-known set", verifiesWithRemoteSet],
  ["the old token: jose verifies with the key of /jwks", verifiesWithStartingKey],
  ["the old token opens the profile", opensProfile],
];

if (restarted) seen.token = readFileSync(TOKEN_FILE, "ascii");
await run(restarted ? AFTER_RESTART : FIRST, ["jose"]);
