// The license server behind the proxy. It trusts the session token that the filter signed, and nothing else of the request.
// ClearKey requests (W3C Encrypted Media Extensions, section 9.1.3) get keys; any other is answered with what arrived, since
// neither FairPlay's nor PlayReady's servers can be had here.

import { createHash, createPublicKey, verify } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { FILM, demoKey } from "./project.mjs";
import { bodyOf, listen, sendJson } from "./server.mjs";

/** The `sub` that the film's licenses are for. */
export const FILM_ID = "movie-1";

export async function startLicenseServer() {
  const { keys } = JSON.parse(await readFile(join(FILM, "keys.json"), "utf8"));
  const proxyKey = createPublicKey({ key: JSON.parse(await readFile(demoKey("demo-session.jwk"), "utf8")), format: "jwk" });
  const received = [];

  const server = await listen(0, async (request, response) => {
    const body = await bodyOf(request);
    const session = verified(request.headers["x-mdrm-session"], proxyKey);
    received.push({ method: request.method, url: request.url, headers: request.headers, body, session });
    if (!session) return sendJson(response, 403, { error: "not from the proxy" });
    if (!request.url.startsWith("/license/clearkey")) {
      return sendJson(response, 200, { bytes: body.length, sha256: createHash("sha256").update(body).digest("hex") });
    }
    const { kids, type } = JSON.parse(body);
    const licensed = session.sub === FILM_ID ? keys.filter(({ kid }) => kids.includes(kid)) : [];
    if (licensed.length < kids.length) return sendJson(response, 403, { error: `the token is for ${session.sub}, which has no such key` });
    sendJson(response, 200, { keys: licensed, type });
  });
  return { port: server.port, received, close: server.close };
}

/** The claims of a session token of the demo's proxy, or undefined. */
function verified(token = "", key) {
  const [header, payload, signature] = token.split(".");
  const signed = Buffer.from(`${header}.${payload}`);
  const valid = signature && verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"));
  if (!valid) return undefined;
  const { typ } = JSON.parse(Buffer.from(header, "base64url"));
  const claims = JSON.parse(Buffer.from(payload, "base64url"));
  const right = typ === "mdrm-session+jwt" && claims.iss === "demo-proxy" && claims.aud === "demo-license-server";
  return right && claims.exp > Date.now() / 1000 - 5 ? claims : undefined;
}
