// Shaka Player: filters of its networking engine carry the token, its errors carry the whole refusal.

import { loadScript, newVideo } from "./element.js";

const MANIFEST_PATH = "/film/growing.mpd";

export async function start({ screen, position, license, onAnswer, onError }) {
  await loadScript("/packages/shaka-player.js");
  const { LICENSE, MANIFEST } = shaka.net.NetworkingEngine.RequestType;
  const video = newVideo(screen);

  // An error event would not do: there is none when a license is refused while an earlier one is held.
  const failureCallback = (error) => {
    const [{ code, data, message }] = error.data;
    if (code !== shaka.util.Error.Code.BAD_HTTP_STATUS) return onError(message);
    error.handled = true;
    const [url, status, body, headers] = data;
    onAnswer({ url, status, code: headers["x-mdrm-error-code"], body });
  };

  const player = new shaka.Player();
  await player.attach(video);
  player.configure({
    drm: { servers: { "org.w3.clearkey": license.url }, retryParameters: { maxAttempts: 1 }, failureCallback },
    streaming: { bufferingGoal: 2, rebufferingGoal: 1 },
  });

  const network = player.getNetworkingEngine();
  network.registerRequestFilter((type, request) => {
    // Shaka Player asks for the licenses of all parts that a manifest names at once: as live ones do, this one names the second part
    // when the first is on its way.
    if (type === MANIFEST) request.uris = [`${MANIFEST_PATH}?position=${Math.max(video.currentTime, position)}`];
    if (type !== LICENSE) return;
    const { url, headers } = license.authorize(request.uris[0]);
    request.uris = [url];
    Object.assign(request.headers, headers, { "Content-Type": "application/json" });
  });
  network.registerResponseFilter((type, { uri, status, headers }) => {
    if (type === LICENSE) onAnswer({ url: uri, status, code: headers["x-mdrm-error-code"] });
  });

  const fail = ({ code, message }) => {
    if (code !== shaka.util.Error.Code.LOAD_INTERRUPTED) onError(message);
  };
  player.addEventListener("error", ({ detail }) => fail(detail));
  player.load(MANIFEST_PATH, position).then(() => video.play(), fail);
  return { video, stop: () => player.destroy() };
}
