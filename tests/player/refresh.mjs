// The film's second part needs a second license, by when tokens have ended and keys have been rotated.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SECOND_PART, Viewer, stage, withEachPlayer } from "./support.mjs";

const WELL_INTO_SECOND_PART = SECOND_PART + 1.5; // seconds

/** The keys that licenses were given under, one for each. */
const signers = (requests) => requests.filter(({ session }) => session).map(({ session }) => session.access_kid);

test("a token that is renewed before its end is never refused, across a rotation of the content keys", () =>
  withEachPlayer(async (viewer, player) => {
    await viewer.play({ player, token: "short", renewal: "early" });
    await viewer.reach(WELL_INTO_SECOND_PART);
    const history = await viewer.history();
    assert.deepEqual(history.filter((event) => event.startsWith("license")), ["license request 200", "license request 200"]);
    const between = history.slice(history.indexOf("license request 200") + 1, history.lastIndexOf("license request 200"));
    assert.ok(between.includes("token renewed"), history.join("\n"));
  }));

test("a token that has ended is renewed after MDRM-508, and the film goes on", () => withEachPlayer(async (viewer, player) => {
  await viewer.play({ player, token: "short", renewal: "late", carriage: "query" });
  await viewer.reach(WELL_INTO_SECOND_PART);
  const history = await viewer.history();
  assert.equal(history[0], "license request 200");
  const refused = history.indexOf("license request 401 MDRM-508");
  assert.ok(refused > 0, history.join("\n"));
  assert.equal(history[refused + 1], "token renewed");
  assert.equal(history.at(-1), "license request 200");
}));

test("a rotation of the signing key while the film plays is survived", async () => {
  const before = stage.received.length;
  const started = [];
  let rotated;
  await withEachPlayer(async (viewer, player) => {
    await viewer.play({ player, renewal: "late" });
    started.push(viewer.reach(0.5));
    if (started.length === 4) rotated = Promise.all(started).then(() => viewer.page.click("#rotate"));
    await viewer.reach(WELL_INTO_SECOND_PART);
    const history = await viewer.history();
    const refused = history.indexOf("license request 401 MDRM-513");
    assert.ok(refused > 0, history.join("\n"));
    assert.deepEqual(history.slice(refused + 1, refused + 3), ["token renewed", "license request 200"]);
  });
  await rotated;
  const [first, last] = [signers(stage.received.slice(before))[0], signers(stage.received).at(-1)];
  assert.match(first, /^player-/);
  assert.match(last, /^player-/);
  assert.notEqual(first, last);
});

test("when the token cannot be renewed, the viewer is told why the film has stopped", async () => {
  const operator = await Viewer.open();
  try {
    const playing = [];
    await withEachPlayer(async (viewer, player) => {
      await viewer.play({ player, token: "short", renewal: "late" });
      playing.push(viewer.reach(0.5));
      if (playing.length === 4) await Promise.all(playing).then(() => operator.page.check("#token-service-fails"));
      await viewer.settle("refused");
      assert.equal(await viewer.notice(),
        "The film has stopped: your session could not be renewed, since the token service is down. Refused, MDRM-508: JSON web token is expired.");
      const history = await viewer.history();
      assert.deepEqual(history.slice(-2), ["license request 401 MDRM-508", "token not renewed"]);
      assert.ok((await viewer.decoded()) > 0, "it had played");
    });
    await operator.play({ player: "hls" });
    await operator.settle("failed");
    assert.equal(await operator.notice(), "No token: the token service is down.");
  } finally {
    await operator.page.uncheck("#token-service-fails");
    await operator.close();
  }
});
