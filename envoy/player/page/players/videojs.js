// video.js with videojs-contrib-eme: the page itself asks for the license.

import { loadScript, newVideo } from "./element.js";

export async function start({ screen, position, license, onAnswer, onError }) {
  await loadScript("/packages/video.js");
  await loadScript("/packages/videojs-contrib-eme.js");
  videojs.log.level("off");
  const video = newVideo(screen);
  video.className = "video-js";
  const player = videojs(video, { fill: true, html5: { vhs: { overrideNative: true } } });
  videojs.Vhs.GOAL_BUFFER_LENGTH = 2;
  videojs.Vhs.MAX_GOAL_BUFFER_LENGTH = 2;
  player.eme();
  player.src({
    src: "/film/film.mpd",
    type: "application/dash+xml",
    keySystems: {
      "org.w3.clearkey": {
        getLicense(_options, message, callback) {
          const { url, headers } = license.authorize(license.url);
          const request = { method: "POST", url, headers: { ...headers, "Content-Type": "application/json" }, body: message };
          videojs.xhr({ ...request, responseType: "arraybuffer" }, (error, response, body) => {
            if (error) return callback(error);
            const answer = { url, status: response.statusCode, code: response.headers["x-mdrm-error-code"] };
            onAnswer({ ...answer, body: new TextDecoder().decode(body) });
            if (answer.status === 200) callback(null, body);
            else callback(new Error(`license request refused: ${answer.status}`));
          });
        },
      },
    },
  });
  player.ready(() => {
    if (position) player.one("loadedmetadata", () => player.currentTime(position));
    player.play();
  });
  return { video: player.el().querySelector("video"), stop: () => player.dispose() };
}
