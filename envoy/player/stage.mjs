// All that a license request meets: the page's origin, the proxy, and the two servers behind it.

import { startEnvoy } from "./envoy.mjs";
import { startKeyService } from "./key-service.mjs";
import { startLicenseServer } from "./license-server.mjs";
import { startPageServer } from "./page-server.mjs";

/** Starts everything. `pagePort` 0 is any free one, as all other ports are. */
export async function startStage({ pagePort = 0 } = {}) {
  const keyService = await startKeyService();
  const licenseServer = await startLicenseServer();
  let envoy;
  const page = await startPageServer({
    port: pagePort,
    licenseUrl: () => `http://127.0.0.1:${envoy.port}/license/clearkey`,
    keyService,
  });
  const pageOrigin = `http://127.0.0.1:${page.port}`;
  envoy = await startEnvoy({ pageOrigin, keyService: keyService.port, licenseServer: licenseServer.port });
  return {
    pageOrigin,
    proxyOrigin: `http://127.0.0.1:${envoy.port}`,
    envoy,
    /** The requests that got past the filter, in order. */
    received: licenseServer.received,
    async stop() {
      await envoy.stop();
      for (const server of [page, licenseServer, keyService]) await server.close();
    },
  };
}
