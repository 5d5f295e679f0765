// License requests of the systems that this Chromium has no CDM for, as their players send them: from the page's script, through
// the same Envoy, with the token in the header and in the query.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Viewer, stage } from "./support.mjs";

/** An SPC is binary: every byte comes up. */
const SPC = Uint8Array.from({ length: 4096 }, (_, index) => (index * 31 + (index >> 8)) % 256);
const SPC_BASE64 = Buffer.from(SPC).toString("base64");
const ACQUIRE_LICENSE = "http://schemas.microsoft.com/DRM/2007/03/protocols/AcquireLicense";
// With a byte order mark, line ends of both kinds and characters beyond ASCII, which all have to arrive as they are.
const SOAP = `\ufeff<?xml version="1.0" encoding="utf-8"?>\r
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>
<AcquireLicense xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols"><challenge><Challenge xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols/messages">
<CustomData>Zuschauer &amp; Straße 7</CustomData></Challenge></challenge></AcquireLicense></soap:Body></soap:Envelope>`;

const REQUESTS = [
  { what: "FairPlay, JSON", path: "/license/fairplay", drm: "fairplay", type: "application/json", body: JSON.stringify({ spc: SPC_BASE64, assetId: "movie-1" }) },
  { what: "FairPlay, form", path: "/license/fairplay", drm: "fairplay", type: "application/x-www-form-urlencoded", body: `spc=${encodeURIComponent(SPC_BASE64)}&assetId=movie-1` },
  { what: "FairPlay, bytes", path: "/license/fairplay", drm: "fairplay", type: "application/octet-stream", body: SPC },
  { what: "PlayReady, SOAP", path: "/license/playready", drm: "playready", type: "text/xml; charset=utf-8", body: SOAP, headers: { SOAPAction: `"${ACQUIRE_LICENSE}"` } },
  { what: "Widevine, bytes", path: "/license/widevine", drm: "widevine", type: "application/octet-stream", body: Uint8Array.of(8, 4) },
];

let viewer;
before(async () => {
  viewer = await Viewer.open();
});
after(() => viewer.close());

for (const { what, path, drm, type, body, headers = {} } of REQUESTS) {
  for (const carriage of ["header", "query"]) {
    test(`${what}, token in the ${carriage}: the license server gets the body unchanged`, async () => {
      const bytes = Buffer.from(body);
      const answer = await viewer.page.evaluate(async ([url, base64, type, headers, inHeader]) => {
        const { token } = await (await fetch("/token?state=good", { method: "POST" })).json();
        if (inHeader) headers.Authorization = token;
        const response = await fetch(inHeader ? url : `${url}&Authorization=${token}`, {
          method: "POST",
          headers: { "Content-Type": type, ...headers },
          body: Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)),
        });
        return { status: response.status, bytes: (await response.json()).bytes };
      }, [`${stage.proxyOrigin}${path}?contentId=movie-1`, bytes.toString("base64"), type, headers, carriage === "header"]);

      assert.deepEqual(answer, { status: 200, bytes: bytes.length });
      const received = stage.received.at(-1);
      assert.ok(received.body.equals(bytes), "the body");
      assert.equal(received.url, `${path}?contentId=movie-1`);
      assert.equal(received.headers["content-type"], type);
      assert.equal(received.headers.soapaction, headers.SOAPAction);
      assert.equal(received.headers.authorization, undefined);
      assert.deepEqual([received.session.sub, received.session.drm], ["movie-1", drm]);
    });
  }
}
