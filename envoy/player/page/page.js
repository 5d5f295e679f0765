// The page: starts the player that was chosen, carries the token, shows each answer, and renews the token where that helps.

import { Token } from "./token.js";

const PLAYERS = {
  shaka: () => import("./players/shaka.js"),
  dash: () => import("./players/dash.js"),
  hls: () => import("./players/hls.js"),
  videojs: () => import("./players/videojs.js"),
};
/** What a new token cures: the old one ended, or its key was deleted or disabled since. */
const RENEWABLE = new Set(["MDRM-508", "MDRM-512", "MDRM-513"]);

const element = (id) => document.getElementById(id);
const form = element("choices");
const settings = await (await fetch("/settings")).json();
element("license-url").textContent = settings.licenseUrl;
form.elements.token.append(...settings.states.map(({ name, label, code }) => new Option(code ? `${label} (${code})` : label, name)));

let session;

/** One film from Play to Stop, through as many players and tokens as it takes. */
class Session {
  #choices = Object.fromEntries(new FormData(form));
  #began = performance.now();
  #token = new Token(
    () => form.elements.token.value,
    this.#choices.renewal === "early" ? (error) => this.#renewed(error) : undefined,
  );
  #player;
  /** Counts the players: what an earlier one still says does not matter. */
  #turn = 0;
  /** Whether the token was renewed because of a refusal, and no license came since. */
  #cured = false;

  async begin() {
    show("loading", "Getting a token.");
    try {
      await this.#token.renew();
    } catch (error) {
      return this.end("failed", `No token: ${error.message}.`);
    }
    await this.#play(0);
  }

  /** Takes the player away, the last picture with it, and says why. */
  async end(state, notice) {
    this.#token.stop();
    show(state, notice);
    const shown = [...element("screen").children];
    await this.#stopPlayer();
    for (const video of shown) video.remove();
  }

  async #stopPlayer() {
    this.#turn += 1;
    const player = this.#player;
    this.#player = undefined;
    await player?.stop();
  }

  async #play(position) {
    const turn = (this.#turn += 1);
    const current = (listener) => (value) => turn === this.#turn && listener(value);
    const { start } = await PLAYERS[this.#choices.player]();
    if (turn !== this.#turn) return;
    const player = await start({
      screen: element("screen"),
      position,
      license: { url: settings.licenseUrl, authorize: (url) => this.#authorize(url) },
      onAnswer: current((answer) => this.#answered(answer)),
      onError: current((message) => this.end("failed", `The player says: ${message}`)),
    });
    if (turn !== this.#turn) return player.stop();
    this.#player = player;
    player.video.addEventListener("playing", current(() => show("playing", "Playing.")));
    player.video.addEventListener("ended", current(() => {
      this.#token.stop();
      show("ended", "The end.");
    }));
  }

  /** The address and headers of a license request, with the token in one of them. */
  #authorize(url) {
    const token = this.#token.current;
    if (!token) return { url, headers: {} };
    if (this.#choices.carriage === "header") return { url, headers: { Authorization: `Bearer ${token}` } };
    return { url: `${url}?Authorization=${encodeURIComponent(token)}`, headers: {} };
  }

  async #answered({ url, status, code, body }) {
    const refusal = status === 200 ? {} : parsed(body);
    const answer = { status, code: code ?? refusal.code ?? "", message: refusal.message ?? refusal.error ?? "", requestId: refusal.request_id ?? "" };
    this.#log("license request", answer, status === 200 ? "granted" : "refused");
    element("request").textContent = `POST ${url.replace(/=.*/, "=<token>")}`;
    element("status").textContent = status;
    element("code").textContent = answer.code || "–";
    element("message").textContent = answer.message || (status === 200 ? "a license" : "–");
    if (status === 200) this.#cured = false;
    else await this.#refused(answer);
  }

  async #refused({ code, message }) {
    const refusal = `${code || "by the license server"}: ${message}`;
    const curable = RENEWABLE.has(code) && !this.#cured && this.#choices.renewal !== "never";
    if (!curable) return this.end("refused", `Refused, ${refusal}.`);
    const position = this.#player?.video.currentTime ?? 0;
    show("loading", "Renewing the token.");
    await this.#stopPlayer();
    const turn = this.#turn;
    const error = await this.renew();
    if (turn !== this.#turn) return;
    if (error) return this.end("refused", `The film has stopped: your session could not be renewed, since ${error.message}. Refused, ${refusal}.`);
    this.#cured = true;
    await this.#play(position);
  }

  /** Gets a new token now. Returns why there is none, if so. */
  async renew() {
    const error = await this.#token.renew().then(() => undefined, (error) => error);
    this.#renewed(error);
    return error;
  }

  #renewed(error) {
    this.#log(error ? "token not renewed" : "token renewed", { message: error?.message });
  }

  /** A line of the table, with the second of the session. */
  #log(event, { status = "", code = "", message = "", requestId = "" }, kind = "") {
    const second = ((performance.now() - this.#began) / 1000).toFixed(1);
    const labels = [...document.querySelectorAll("#history th")].map((head) => head.textContent);
    const row = Object.assign(document.createElement("tr"), { className: kind });
    row.append(...[second, event, status, code, message, requestId].map((text, column) => {
      const cell = Object.assign(document.createElement("td"), { textContent: text });
      cell.dataset.label = labels[column];
      return cell;
    }));
    document.querySelector("#history tbody").append(row);
  }
}

function show(state, notice) {
  document.body.dataset.state = state;
  element("notice").textContent = notice;
}

/** The refusal's body, from the filter or from the license server. */
function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return { message: body };
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await session?.end("loading", "");
  for (const id of ["request", "status", "code", "message"]) element(id).textContent = "–";
  document.querySelector("#history tbody").replaceChildren();
  session = new Session();
  await session.begin();
});
element("stop").addEventListener("click", () => session?.end("idle", "Stopped."));
element("renew").addEventListener("click", () => session?.renew());
element("rotate").addEventListener("click", () => fetch("/operator/rotate", { method: "POST" }));
element("token-service-fails").addEventListener("change", ({ target }) => {
  fetch(`/operator/token-service?fails=${target.checked}`, { method: "POST" });
});
document.body.dataset.ready = "";
