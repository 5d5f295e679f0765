// dash.js: protection data and a filter carry the token, an event tells how the request ended.

import { loadScript, newVideo } from "./element.js";

export async function start({ screen, position, license, onAnswer, onError }) {
  await loadScript("/packages/dash.js");
  const video = newVideo(screen);
  const player = dashjs.MediaPlayer().create();
  player.initialize(video, undefined, true);
  player.updateSettings({
    debug: { logLevel: dashjs.Debug.LOG_LEVEL_NONE },
    streaming: {
      buffer: { bufferTimeDefault: 2, bufferTimeAtTopQuality: 2, bufferTimeAtTopQualityLongForm: 2 },
      // By default dash.js sends a refused request three times more, with the same token.
      retryAttempts: { license: 0 },
    },
  });

  // An Authorization here makes dash.js send the request in credentials mode, to which the proxy's CORS filter must agree
  // (allow_credentials). The filter below then puts in the token that is current when the request is sent.
  const { headers } = license.authorize(license.url);
  player.setProtectionData({ "org.w3.clearkey": { serverURL: license.url, httpRequestHeaders: headers } });
  let sent;
  player.registerLicenseRequestFilter(async (request) => {
    const authorized = license.authorize(request.url);
    request.url = authorized.url;
    Object.assign(request.headers, authorized.headers);
    sent = authorized.url;
  });
  player.on(dashjs.Protection.events.LICENSE_REQUEST_COMPLETE, ({ error }) => {
    if (!error) onAnswer({ url: sent, status: 200 });
    else if (!error.data) onError(error.message);
    // Of the answer's headers dash.js tells nothing; the body has the code too.
    else onAnswer({ url: sent, status: error.data.responseCode, body: JSON.stringify(error.data.serverResponse) });
  });
  player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => onError(error.message));
  player.attachSource("/film/film.mpd", position || NaN);
  return { video, stop: () => player.destroy() };
}
