// The key service: knows the keys that tokens are signed by. Besides the demo's keys it has one that can be rotated while
// players play.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { MDRM, demoKey } from "./project.mjs";
import { listen } from "./server.mjs";

const run = promisify(execFile);

/** Starts the service. `signingKey()` is the file of the private key that tokens are signed by now. */
export async function startKeyService() {
  const folder = await mkdtemp(join(tmpdir(), "mdrm-player-keys-"));
  const documents = new Map();
  let current;

  /** Makes a new signing key and disables the one before: tokens of the old one are refused within a second. */
  async function rotate() {
    const kid = `player-${documents.size + 1}`;
    const owner = ["--iss", "demo-operator", "--aud", "urn:verimatrix:multidrm"];
    await run(MDRM, ["keygen", "--alg", "ES256", "--kid", kid, ...owner, "--out", folder]);
    documents.set(kid, JSON.parse(await readFile(join(folder, `${kid}.jwk`), "utf8")));
    if (current) documents.get(current).status = "disabled";
    current = kid;
  }

  /** The document at a path, or undefined. */
  async function find(path) {
    const [, kind, kid] = path.match(/^\/(keys|session-keys)\/([a-z0-9-]+)$/) ?? [];
    if (kind === "keys" && documents.has(kid)) return JSON.stringify(documents.get(kid));
    if (kind) return readFile(demoKey(kind === "keys" ? `${kid}.jwk` : `${kid}.private.jwk`), "utf8").catch(() => undefined);
  }

  await rotate();
  const server = await listen(0, async (request, response) => {
    const document = await find(request.url);
    // An outage is answered as one. Everything else that is not found was never registered.
    const status = request.url === "/keys/demo-outage" ? 503 : document ? 200 : 404;
    response.writeHead(status, { "content-type": "application/json", "cache-control": "max-age=1" }).end(document);
  });
  const close = () => {
    server.close();
    return rm(folder, { recursive: true });
  };
  return { port: server.port, rotate, signingKey: () => join(folder, `${current}.private.jwk`), close };
}
