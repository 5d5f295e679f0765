// The page's own origin: the page, the players, the film, and the backend that the page asks for tokens.

import { readFile } from "node:fs/promises";
import { extname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { FILM } from "./project.mjs";
import { listen, sendJson } from "./server.mjs";
import { STATES, mint } from "./tokens.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const TYPES = {
  ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript",
  ".mpd": "application/dash+xml", ".m3u8": "application/vnd.apple.mpegurl", ".mp4": "video/mp4",
};
const SECOND_PART_NAMED_AT = 2; // seconds
/** The players, as their packages deliver them to browsers. */
const PACKAGES = {
  "/packages/shaka-player.js": "node_modules/shaka-player/dist/shaka-player.compiled.js",
  "/packages/dash.js": "node_modules/dashjs/dist/modern/umd/dash.all.min.js",
  "/packages/hls.js": "node_modules/hls.js/dist/hls.min.js",
  "/packages/video.js": "node_modules/video.js/dist/video.min.js",
  "/packages/video.css": "node_modules/video.js/dist/video-js.min.css",
  "/packages/videojs-contrib-eme.js": "node_modules/videojs-contrib-eme/dist/videojs-contrib-eme.min.js",
};

/** Starts the server. `licenseUrl()` is where players ask for licenses; `keyService` signs, and is rotated from the page. */
export async function startPageServer({ port, licenseUrl, keyService }) {
  let tokensFail = false;

  /** What the page does besides reading files: a method and a path each. */
  const actions = {
    "GET /settings": (response) => sendJson(response, 200, {
      licenseUrl: licenseUrl(),
      states: STATES.map(({ name, label = name, code }) => ({ name, label, code })),
    }),
    "GET /film/growing.mpd": async (response, query) => {
      const manifest = growing(await readFile(join(FILM, "film.mpd"), "utf8"), Number(query.get("position")));
      response.writeHead(200, { "content-type": TYPES[".mpd"], "cache-control": "no-store" }).end(manifest);
    },
    "POST /token": async (response, query) => {
      if (tokensFail) return sendJson(response, 503, { error: "the token service is down" });
      sendJson(response, 200, await mint(query.get("state"), keyService.signingKey()));
    },
    "POST /operator/rotate": async (response) => {
      await keyService.rotate();
      sendJson(response, 200, {});
    },
    "POST /operator/token-service": (response, query) => {
      tokensFail = query.get("fails") === "true";
      sendJson(response, 200, {});
    },
  };

  return listen(port, async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://page");
    const action = actions[`${request.method} ${pathname}`];
    if (action) return action(response, searchParams);
    const content = await readFile(fileAt(pathname)).catch(() => undefined);
    if (!content) return sendJson(response, 404, { error: "not found" });
    response.writeHead(200, { "content-type": TYPES[extname(pathname)] ?? TYPES[".html"], "cache-control": "no-cache" }).end(content);
  });
}

/** The manifest as a live one for a viewer at `position` seconds: it names the second part only when that is near. */
function growing(manifest, position) {
  if (position >= SECOND_PART_NAMED_AT) return manifest;
  // Long ago, so that no player waits for a segment to become available.
  const live = 'type="dynamic" availabilityStartTime="2020-01-01T00:00:00Z" minimumUpdatePeriod="PT1S"';
  return manifest.replace(/type="static" mediaPresentationDuration="[^"]*"/, live).replace(/<Period id="part2"[\s\S]*?<\/Period>/, "");
}

function fileAt(pathname) {
  if (PACKAGES[pathname]) return here(PACKAGES[pathname]);
  const [root, path] = pathname.startsWith("/film/") ? [FILM, pathname.slice("/film".length)] : [here("page"), pathname];
  const file = join(root, path === "/" ? "index.html" : decodeURIComponent(path));
  // The film's folder holds its keys too: only what the types name is served.
  return file.startsWith(root + sep) && TYPES[extname(file)] ? file : "";
}
