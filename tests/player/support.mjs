// What the browser tests share: one stage (page, Envoy with the module, servers), one Chromium, and the page as a viewer uses it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after } from "node:test";

import { chromium } from "playwright-core";

import { startStage } from "../../envoy/player/stage.mjs";

export const PLAYERS = ["shaka", "dash", "hls", "videojs"];
/** Where the film's second part begins, for which players need the second key. */
export const SECOND_PART = 8; // seconds
/** Long enough for a machine that does other things besides. */
const DEADLINE = 120_000; // milliseconds

export const stage = await startStage();
export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
after(async () => {
  await browser.close();
  await stage.stop();
});

/** Status and message of each code. */
export const CODES = Object.fromEntries(
  readFileSync(new URL("../codes.tsv", import.meta.url), "utf8").trim().split("\n").map((line) => {
    const [code, status, message] = line.split("\t");
    return [code, { status, message }];
  }),
);

/** The page in a tab of its own. */
export class Viewer {
  /** `options` are those of Playwright's `newPage`; `origin` is where the page comes from, `context` whose tab it is. */
  static async open({ origin = stage.pageOrigin, context = browser, ...options } = {}) {
    const page = await context.newPage(options);
    page.setDefaultTimeout(DEADLINE);
    // Players go away with their video; what it had decoded is remembered.
    await page.addInitScript(() => {
      window.decoded = 0;
      setInterval(() => {
        const frames = document.querySelector("#screen video")?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
        window.decoded = Math.max(window.decoded, frames);
      }, 20);
    });
    await page.goto(origin);
    await page.waitForSelector("body[data-ready]");
    return new Viewer(page);
  }

  constructor(page) {
    this.page = page;
  }

  /** Chooses and presses Play. */
  async play({ player, carriage = "header", token = "good", renewal = "early" }) {
    await this.page.check(`[name=player][value=${player}]`);
    await this.page.check(`[name=carriage][value=${carriage}]`);
    await this.page.selectOption("[name=token]", token);
    await this.page.selectOption("[name=renewal]", renewal);
    await this.page.click("button[type=submit]");
  }

  /** Waits until the film is at `seconds`. */
  async reach(seconds) {
    const reached = (seconds) => document.querySelector("#screen video")?.currentTime >= seconds || /refused|failed/.test(document.body.dataset.state);
    await this.page.waitForFunction(reached, seconds);
    assert.match(await this.state(), /playing|ended|loading/, await this.notice());
  }

  /** Pauses the film at its beginning until `done()`, and goes on shortly before the second part: no player has asked for its key yet. */
  async hold(done) {
    await this.reach(0.5);
    await this.page.evaluate(() => document.querySelector("#screen video").pause());
    await done();
    await this.page.evaluate((position) => {
      const video = document.querySelector("#screen video");
      video.currentTime = position;
      video.play();
    }, SECOND_PART - 3);
  }

  /** Puts a token that ends soon in place of the one held. Renewals from now on get good ones. */
  async takeShortToken() {
    const before = (await this.history()).length;
    await this.page.selectOption("[name=token]", "short");
    await this.page.click("#renew");
    await this.page.waitForFunction((before) => document.querySelectorAll("#history tbody tr").length > before, before);
    await this.page.selectOption("[name=token]", "good");
  }

  /** Waits for the page's state: loading, playing, ended, refused, failed. */
  async settle(state) {
    await this.page.waitForSelector(`body[data-state=${state}]`);
  }

  state() {
    return this.page.getAttribute("body", "data-state");
  }

  notice() {
    return this.page.textContent("#notice");
  }

  /** The status, code and message that the page shows of the last license request. */
  async answer() {
    const [status, code, message] = await Promise.all(["#status", "#code", "#message"].map((id) => this.page.textContent(id)));
    return { status, code, message };
  }

  /** What happened so far: each event with the status and code. */
  history() {
    return this.page.$$eval("#history tbody tr", (rows) =>
      rows.map(({ cells: [, event, status, code] }) => [event, status, code].map(({ textContent }) => textContent).join(" ").trim()));
  }

  /** How many pictures were decoded since the page was opened, at most of one player. */
  decoded() {
    return this.page.evaluate(() => window.decoded);
  }

  close() {
    return this.page.close();
  }
}

/** Lets the players wait for each other: once all have come, `act` is done, and they go on. */
export function rendezvous(act) {
  let missing = PLAYERS.length;
  let meet;
  const met = new Promise((resolve, reject) => {
    meet = resolve;
    setTimeout(() => reject(new Error("not all players came")), DEADLINE).unref();
  });
  return () => {
    missing -= 1;
    if (missing === 0) meet(act());
    return met;
  };
}

/** Does the same for each player at once, with a tab each. */
export async function withEachPlayer(act) {
  const results = await Promise.allSettled(PLAYERS.map(async (player) => {
    const viewer = await Viewer.open();
    try {
      await act(viewer, player);
    } catch (error) {
      throw new Error(`${player}: ${error.message}\n${await viewer.notice()}\n${(await viewer.history()).join("\n")}`, { cause: error });
    } finally {
      await viewer.close();
    }
  }));
  const failed = results.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
  if (failed.length > 0) throw failed.length === 1 ? failed[0] : new AggregateError(failed, failed.map(({ message }) => message).join("\n"));
}
