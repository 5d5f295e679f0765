// The backend that gives a signed-in viewer's player its token, good or (to see what happens) bad.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { FILM_ID } from "./license-server.mjs";
import { MDRM, demoKey } from "./project.mjs";

const run = promisify(execFile);
/** So that a token ends within the film. */
export const SHORT = 5; // seconds
const LIFETIME = 90; // seconds; the filter takes no older license token
const demo = (kid) => demoKey(`${kid}.private.jwk`);

/** What the page offers: a name, what is wrong with the token, and the code that the filter answers (none: it passes). */
export const STATES = [
  { name: "good" },
  { name: "short", label: `good, for ${SHORT} seconds`, options: (now) => ["--claim", `exp=${now + SHORT}`], lifetime: SHORT },
  { name: "expired", options: () => ["--age", "10m"], code: "MDRM-508" },
  { name: "no token", code: "MDRM-501", token: () => "" },
  { name: "not a token", code: "MDRM-502", token: () => "rubbish" },
  { name: "wrong audience", options: () => ["--aud", "urn:example:other"], code: "MDRM-503" },
  { name: "unknown key", key: demo("demo-unregistered"), code: "MDRM-504" },
  { name: "forged", token: forged, code: "MDRM-505" },
  { name: "session key unknown", key: demo("demo-no-session"), code: "MDRM-506" },
  { name: "session key broken", key: demo("demo-broken-session"), code: "MDRM-507" },
  { name: "no issue time", options: () => ["--no-claim", "iat"], code: "MDRM-509" },
  { name: "issued in the future", options: (now) => ["--claim", `iat=${now + 3600}`], code: "MDRM-510" },
  { name: "not valid yet", options: (now) => ["--claim", `nbf=${now + 3600}`], code: "MDRM-511" },
  { name: "deleted key", key: demo("demo-deleted"), code: "MDRM-512" },
  { name: "disabled key", key: demo("demo-disabled"), code: "MDRM-513" },
  { name: "for Trust Tunnel only", options: () => ["--claim", "drm_protocol=Trust Tunnel"], code: "MDRM-521" },
  { name: "key service fails", key: demo("demo-outage"), code: "MDRM-500" },
  { name: "other content", content: "movie-2", refusedBy: "license server" },
];

/** A token, and for how many seconds it is good. */
export async function mint(name, signingKey) {
  const state = STATES.find((state) => state.name === name);
  if (!state) throw new Error(`no state ${name}`);
  const { key = signingKey, content = FILM_ID, options = () => [], lifetime = LIFETIME } = state;
  const now = Math.floor(Date.now() / 1000);
  const { stdout } = await run(MDRM, ["mint", "--key", key, "--sub", content, ...options(now)]);
  const token = stdout.trim();
  return { token: state.token ? state.token(token) : token, expires_in: lifetime };
}

/** With another signature. */
function forged(token) {
  const [header, payload, signature] = token.split(".");
  return [header, payload, (signature[0] === "A" ? "B" : "A") + signature.slice(1)].join(".");
}
