// The proxy: the demo's Envoy, with other servers behind it and another origin in front.

import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import YAML from "yaml";

import { ROOT } from "./project.mjs";

const DEADLINE = 60_000; // milliseconds

/** Starts Envoy, named by the variable ENVOY, and waits until it serves. `port` is the proxy's. */
export async function startEnvoy({ port = 0, pageOrigin, keyService, licenseServer }) {
  const folder = await mkdtemp(join(tmpdir(), "mdrm-player-envoy-"));
  const configuration = YAML.parse(await readFile(join(ROOT, "envoy/envoy.yaml"), "utf8"));
  adapt(configuration, { port, pageOrigin, keyService, licenseServer });
  await writeFile(join(folder, "envoy.json"), JSON.stringify(configuration));
  const log = join(folder, "envoy.log");
  const output = openSync(log, "w");
  const envoy = spawn(envoyBinary(), [
    "-c", join(folder, "envoy.json"), "--admin-address-path", join(folder, "admin"), "--disable-hot-restart",
    "--concurrency", "2", "--log-level", "warning", "--component-log-level", "wasm:info",
  ], { cwd: ROOT, stdio: ["ignore", output, output] });
  closeSync(output);
  const ended = new Promise((resolve) => envoy.once("exit", resolve));
  const stop = async () => {
    envoy.kill();
    await ended;
    await rm(folder, { recursive: true });
  };
  try {
    return { port: await listening(envoy, folder), log, ended, stop };
  } catch (error) {
    const said = await readFile(log, "utf8");
    await stop();
    throw new Error(`${error.message}: ${said}`);
  }
}

/** What differs from the reference. Everything else, the filter's own configuration above all, is as it is there. */
function adapt({ admin, static_resources: { listeners, clusters } }, { port, pageOrigin, keyService, licenseServer }) {
  const named = (list, wanted) => list.find(({ name }) => name === wanted);
  const proxy = named(listeners, "proxy");
  listeners.splice(0, listeners.length, proxy);
  admin.address.socket_address.port_value = 0;
  proxy.address.socket_address.port_value = port;

  const backends = { key_service: keyService, license_server: licenseServer };
  for (const [name, port] of Object.entries(backends)) {
    const [{ lb_endpoints: [{ endpoint }] }] = named(clusters, name).load_assignment.endpoints;
    endpoint.address.socket_address.port_value = port;
  }

  const manager = proxy.filter_chains[0].filters[0].typed_config;
  const [{ typed_per_filter_config: { "envoy.filters.http.cors": cors } }] = manager.route_config.virtual_hosts;
  cors.allow_origin_string_match = [{ exact: pageOrigin }];

  // All servers here share one clock: a token for three seconds shall end after three.
  const { configuration } = named(manager.http_filters, "mdrm_authz").typed_config.config;
  configuration.value = JSON.stringify({ ...JSON.parse(configuration.value), clock_skew: "0s" });
}

function envoyBinary() {
  if (!process.env.ENVOY) throw new Error("ENVOY must name an Envoy binary: envoy/fetch-envoy.sh prints one");
  return process.env.ENVOY;
}

/** The proxy's port, once it serves. */
async function listening(envoy, folder) {
  for (const start = Date.now(); Date.now() - start < DEADLINE; await new Promise((resolve) => setTimeout(resolve, 50))) {
    if (envoy.exitCode !== null) throw new Error("Envoy ended");
    const admin = (await readFile(join(folder, "admin"), "utf8").catch(() => "")).trim();
    if (!admin || !(await fetch(`http://${admin}/ready`).catch(() => ({}))).ok) continue;
    const { listener_statuses } = await (await fetch(`http://${admin}/listeners?format=json`)).json();
    return listener_statuses[0].local_address.socket_address.port_value;
  }
  throw new Error("Envoy is not ready");
}
