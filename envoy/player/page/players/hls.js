// hls.js: `licenseXhrSetup` carries the token and can look at the answer.

import { loadScript, newVideo } from "./element.js";

export async function start({ screen, position, license, onAnswer, onError }) {
  await loadScript("/packages/hls.js");
  const video = newVideo(screen);
  const player = new Hls({
    startPosition: position || -1,
    maxBufferLength: 2,
    maxMaxBufferLength: 2,
    emeEnabled: true,
    drmSystems: { "org.w3.clearkey": { licenseUrl: license.url } },
    licenseXhrSetup(xhr, url) {
      const authorized = license.authorize(url);
      xhr.open("POST", authorized.url);
      for (const [name, value] of Object.entries(authorized.headers)) xhr.setRequestHeader(name, value);
      xhr.setRequestHeader("Content-Type", "application/json");
      xhr.addEventListener("load", () => onAnswer({
        url: authorized.url,
        status: xhr.status,
        code: xhr.getResponseHeader("x-mdrm-error-code"),
        body: new TextDecoder().decode(xhr.response),
      }));
    },
  });
  player.on(Hls.Events.ERROR, (_, { fatal, details, networkDetails, error }) => {
    const told = details === Hls.ErrorDetails.KEY_SYSTEM_LICENSE_REQUEST_FAILED && networkDetails?.status > 0;
    if (fatal && !told) onError(`${details}: ${error.message}`);
  });
  player.on(Hls.Events.MANIFEST_PARSED, () => video.play());
  player.attachMedia(video);
  player.loadSource("/film/film.m3u8");
  return { video, stop: () => player.destroy() };
}
