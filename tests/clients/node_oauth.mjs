// Talks to a Claviger as OAuth's clients and resource servers written in JavaScript would: oauth4webapi refreshes,
// introspects and revokes; jose verifies the status lists of those who do not want to ask for each token.
//
// BASE_URL names the server. API_KEY_ID and API_KEY are what `claviger api-key create` gave to this service. TOKEN_FILE
// keeps tokens for the second run, which is made with the argument "after-restart".

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { inflateSync } from "node:zlib";
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import { BASE_URL, call, restarted, run } from "./node_checks.mjs";

const { TOKEN_FILE, API_KEY_ID, API_KEY } = process.env;
const ACCOUNT = { email: "node2@example.com", name: "node2", password: "node2" };
const SERVER = {
  issuer: BASE_URL,
  token_endpoint: BASE_URL + "/token",
  introspection_endpoint: BASE_URL + "/introspect",
  revocation_endpoint: BASE_URL + "/revoke",
};
const PERSON = { client_id: "claviger" };
const SERVICE = { client_id: API_KEY_ID };
const HTTP = { [oauth.allowInsecureRequests]: true }; // on loopback alone

let seen = {}; // what earlier checks found and later ones need: the sessions "ended" and "kept"

const remoteSet = () => jose.createRemoteJWKSet(new URL(BASE_URL + "/.well-known/jwks.json"));

async function logIn() {
  const answer = await call("POST", "/login", {}, { email: ACCOUNT.email, password: ACCOUNT.password });
  assert.equal(answer.status, 200);
  const { token, refresh_token: refreshToken } = await answer.json();
  return { token, refreshToken };
}

async function sessions() {
  assert.equal((await call("POST", "/user", {}, ACCOUNT)).status, 201);
  seen = { ended: await logIn(), kept: await logIn() };
}

const keep = () => writeFileSync(TOKEN_FILE, JSON.stringify(seen));

async function refresh() {
  const { kept } = seen;
  const answer = await oauth.refreshTokenGrantRequest(SERVER, PERSON, oauth.None(), kept.refreshToken, HTTP);
  const given = await oauth.processRefreshTokenResponse(SERVER, PERSON, answer);
  assert.deepEqual([given.token_type, given.scope], ["bearer", "account profile"]);
  assert.notEqual(given.refresh_token, kept.refreshToken);
  const wanted = { issuer: BASE_URL, audience: BASE_URL, algorithms: ["RS256"], typ: "at+jwt" };
  const { payload } = await jose.jwtVerify(given.access_token, remoteSet(), wanted);
  const before = jose.decodeJwt(kept.token);
  for (const name of ["sub", "sid", "scope", "client_id"]) assert.equal(payload[name], before[name], name);
  assert.deepEqual(payload.status, before.status);
  seen.kept = { token: given.access_token, refreshToken: given.refresh_token };
  keep();
}

async function refreshRefused() {
  const answer = await oauth.refreshTokenGrantRequest(SERVER, PERSON, oauth.None(), "no token of ours", HTTP);
  const processed = oauth.processRefreshTokenResponse(SERVER, PERSON, answer);
  await assert.rejects(processed, (error) => error.error === "invalid_grant" && error.status === 400);
}

async function introspect(token, authentication) {
  const answer = await oauth.introspectionRequest(SERVER, SERVICE, authentication, token, HTTP);
  return oauth.processIntrospectionResponse(SERVER, SERVICE, answer);
}

async function introspectedBy(authentication) {
  const { token, refreshToken } = seen.kept;
  const { active, token_type: type, sub, sid, exp } = await introspect(token, authentication);
  assert.deepEqual([active, type], [true, "Bearer"]);
  const claims = jose.decodeJwt(token);
  assert.deepEqual([sub, sid, exp], [claims.sub, claims.sid, claims.exp]);
  assert.equal((await introspect(refreshToken, authentication)).active, true);
  assert.deepEqual(await introspect("x", authentication), { active: false });
}

async function aWrongKeyLearnsNothing() {
  const isRefused = (error) => error.code === "OAUTH_WWW_AUTHENTICATE_CHALLENGE" || error.error === "invalid_client";
  await assert.rejects(introspect(seen.kept.token, oauth.ClientSecretPost(API_KEY.slice(0, -1))), isRefused);
}

async function revoke() {
  const { token, refreshToken } = seen.ended;
  const answer = await oauth.revocationRequest(SERVER, PERSON, oauth.None(), refreshToken, HTTP);
  await oauth.processRevocationResponse(answer);
  for (const gone of [token, refreshToken]) {
    assert.deepEqual(await introspect(gone, oauth.ClientSecretPost(API_KEY)), { active: false });
  }
}

// The bit of a token in the list that it names (draft-ietf-oauth-status-list).
async function status(token) {
  const { idx, uri } = jose.decodeJwt(token).status.status_list;
  const answer = await fetch(uri, { signal: AbortSignal.timeout(10_000) });
  assert.deepEqual([answer.status, answer.headers.get("content-type")], [200, "application/statuslist+jwt"]);
  const wanted = { issuer: BASE_URL, subject: uri, algorithms: ["RS256"], typ: "statuslist+jwt" };
  const { payload } = await jose.jwtVerify(await answer.text(), remoteSet(), wanted);
  assert.equal(payload.status_list.bits, 1);
  const bytes = inflateSync(Buffer.from(payload.status_list.lst, "base64url"));
  return (bytes[idx >> 3] >> (idx & 7)) & 1;
}

async function listsLiveSessions() {
  for (const { token } of Object.values(seen)) assert.equal(await status(token), 0);
}

async function listsEndedSessions() {
  const end = Date.now() + 10_000;
  while ((await status(seen.ended.token)) === 0) {
    assert.ok(Date.now() < end, "an ended session is listed within 10 seconds");
    await sleep(200);
  }
  assert.equal(await status(seen.kept.token), 0);
}

const FIRST = [
  ["logins give refresh tokens", sessions],
  ["oauth4webapi refreshes, and jose verifies", refresh],
  ["oauth4webapi is told what is no refresh token", refreshRefused],
  ["oauth4webapi introspects by client_secret_basic", () => introspectedBy(oauth.ClientSecretBasic(API_KEY))],
  ["oauth4webapi introspects by client_secret_post", () => introspectedBy(oauth.ClientSecretPost(API_KEY))],
  ["a wrong API key learns nothing", aWrongKeyLearnsNothing],
  ["jose reads in the status list that all sessions live", listsLiveSessions],
  ["oauth4webapi revokes", revoke],
  ["jose reads in the status list which session ended", listsEndedSessions],
];

const AFTER_RESTART = [
  ["jose still reads which session ended", listsEndedSessions],
  ["oauth4webapi refreshes the old session", refresh],
];

if (restarted) seen = JSON.parse(readFileSync(TOKEN_FILE, "utf8"));
await run(restarted ? AFTER_RESTART : FIRST, ["oauth4webapi", "jose"]);
