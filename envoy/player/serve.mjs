// What `make player` runs once all is built: serves the page until interrupted. PORT is the page's, 8080 by default.

import { startStage } from "./stage.mjs";

const stage = await startStage({ pagePort: Number(process.env.PORT ?? 8080) });
console.log(`Open ${stage.pageOrigin} in a browser. Licenses come through the filter at ${stage.proxyOrigin}.
Envoy's log: ${stage.envoy.log}. Stop with Ctrl-C.`);
stage.envoy.ended.then(() => process.exit(1));
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    await stage.stop();
    process.exit(0);
  });
}
