// Page and license endpoint are different origins, as in life: what a browser lets scripts see.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CODES, Viewer, browser, stage } from "./support.mjs";

const LICENSES = `${stage.proxyOrigin}/license/clearkey`;
/** The same page, from an origin that the proxy does not know. */
const FOREIGN_ORIGIN = stage.pageOrigin.replace("127.0.0.1", "localhost");

/** Asks for a license in the page's script, as a player would. */
function ask(viewer, url, options) {
  return viewer.page.evaluate(async ([url, options]) => {
    try {
      const response = await fetch(url, { method: "POST", body: "challenge", ...options });
      return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
    } catch (error) {
      return { error: error.name };
    }
  }, [url, options]);
}

/** A preflight, sent without a browser to see its answer. */
const preflight = (origin) => fetch(LICENSES, {
  method: "OPTIONS",
  headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type,soapaction" },
});

test("a script reads status, body, code and request ID of a refusal", async () => {
  const viewer = await Viewer.open();
  const { status, headers, body } = await ask(viewer, LICENSES, { headers: { Authorization: "rubbish" } });
  assert.equal(status, 401);
  assert.equal(headers["x-mdrm-error-code"], "MDRM-502");
  const { code, message, request_id } = JSON.parse(body);
  assert.deepEqual([code, message, request_id], ["MDRM-502", CODES["MDRM-502"].message, headers["x-request-id"]]);
  assert.ok(request_id);
  await viewer.close();
});

test("a script reads when to try again after a failure of the key service", async () => {
  const viewer = await Viewer.open();
  const token = await viewer.page.evaluate(async () => (await fetch("/token?state=key%20service%20fails", { method: "POST" })).json());
  const { status, headers } = await ask(viewer, LICENSES, { headers: { Authorization: token.token } });
  assert.deepEqual([status, headers["x-mdrm-error-code"]], [500, "MDRM-500"]);
  assert.match(headers["retry-after"], /^([1-9]|[12][0-9]|30)$/);
  await viewer.close();
});

test("Envoy answers a preflight of the page's origin by itself", async () => {
  const arrived = stage.received.length;
  const { status, headers } = await preflight(stage.pageOrigin);
  assert.equal(status, 200);
  assert.equal(headers.get("access-control-allow-origin"), stage.pageOrigin);
  assert.equal(headers.get("access-control-allow-credentials"), "true");
  assert.match(headers.get("access-control-allow-headers"), /authorization.*content-type.*soapaction/);
  assert.equal(stage.received.length, arrived);
});

test("a preflight of a foreign origin is refused by CORS and not by the filter", async () => {
  const answer = await preflight(FOREIGN_ORIGIN);
  assert.equal(answer.headers.get("access-control-allow-origin"), null);
  assert.equal(answer.headers.get("x-mdrm-error-code"), null);
  assert.equal(stage.received.at(-1).method, "OPTIONS", "it passed the filter");

  const posts = () => stage.received.filter(({ method }) => method === "POST").length;
  const arrived = posts();
  const viewer = await Viewer.open({ origin: FOREIGN_ORIGIN });
  const complaints = [];
  viewer.page.on("console", (message) => complaints.push(message.text()));
  assert.deepEqual(await ask(viewer, LICENSES, { headers: { Authorization: "rubbish" } }), { error: "TypeError" });
  assert.match(complaints.join("\n"), /blocked by CORS policy: Response to preflight request doesn't pass access control check/);
  await viewer.play({ player: "hls" });
  await viewer.settle("failed");
  assert.equal(await viewer.decoded(), 0);
  assert.equal(posts(), arrived, "the browser sent no license request");
  await viewer.close();
});

test("dash.js sends a token in the header in credentials mode, and hls.js does not", async () => {
  const context = await browser.newContext();
  await context.addCookies([{ name: "viewer", value: "7", url: stage.proxyOrigin }]);
  const viewer = await Viewer.open({ context });
  const cookies = {};
  for (const player of ["dash", "hls"]) {
    await viewer.play({ player });
    await viewer.reach(0.5);
    cookies[player] = stage.received.at(-1).headers.cookie;
  }
  assert.deepEqual(cookies, { dash: "viewer=7", hls: undefined });
  await viewer.play({ player: "dash", token: "expired", renewal: "never" });
  await viewer.settle("refused");
  assert.equal((await viewer.answer()).code, "MDRM-508", "a refusal is readable in this mode too");
  await context.close();
});
