// The film's second part needs a second license, and by then tokens have ended and keys have been rotated.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { SHORT } from "../../envoy/player/tokens.mjs";
import { SECOND_PART, Viewer, rendezvous, stage, withEachPlayer } from "./support.mjs";

const WELL_INTO_SECOND_PART = SECOND_PART + 1; // seconds
/** Times are in whole seconds: a short token may live one longer. */
const TOKEN_ENDED = (SHORT + 1) * 1000; // milliseconds
/** By when the filter asks again for a key. */
const KEYS_FETCHED = 1500; // milliseconds

const GRANTED = "license request 200";
const RENEWED = "token renewed";

/** Fails unless `wanted` happened, one right after the other. */
function assertHappened(history, ...wanted) {
  assert.ok(history.join("\n").includes(wanted.join("\n")), `${wanted.join(", ")} did not happen`);
}

test("a token that is renewed before its end is never refused, across a rotation of the content keys", () =>
  withEachPlayer(async (viewer, player) => {
    await viewer.play({ player, renewal: "early" });
    await viewer.hold(async () => {
      await viewer.takeShortToken();
      await sleep(TOKEN_ENDED);
    });
    await viewer.reach(WELL_INTO_SECOND_PART);
    const history = await viewer.history();
    assert.equal(history[0], GRANTED);
    assertHappened(history, RENEWED, RENEWED, GRANTED);
    assert.deepEqual([...new Set(history)].sort(), [GRANTED, RENEWED]);
  }));

test("a token that has ended is renewed after MDRM-508, and the film goes on", () => withEachPlayer(async (viewer, player) => {
  await viewer.play({ player, renewal: "late", carriage: "query" });
  await viewer.hold(async () => {
    await viewer.takeShortToken();
    await sleep(TOKEN_ENDED);
  });
  await viewer.reach(WELL_INTO_SECOND_PART);
  assertHappened(await viewer.history(), GRANTED, RENEWED, "license request 401 MDRM-508", RENEWED, GRANTED);
}));

test("a rotation of the signing key while the film plays is survived", async () => {
  const before = stage.received.length;
  const operator = await Viewer.open();
  const rotated = rendezvous(async () => {
    await operator.page.click("#rotate");
    await sleep(KEYS_FETCHED);
  });
  await withEachPlayer(async (viewer, player) => {
    await viewer.play({ player, renewal: "late" });
    await viewer.hold(rotated);
    await viewer.reach(WELL_INTO_SECOND_PART);
    assertHappened(await viewer.history(), GRANTED, "license request 401 MDRM-513", RENEWED, GRANTED);
  });
  await operator.close();
  const keys = new Set(stage.received.slice(before).filter(({ session }) => session).map(({ session }) => session.access_kid));
  assert.equal(keys.size, 2, [...keys].join());
});

test("when the token cannot be renewed, the viewer is told why the film has stopped", async () => {
  const operator = await Viewer.open();
  const failing = rendezvous(() => operator.page.check("#token-service-fails"));
  try {
    await withEachPlayer(async (viewer, player) => {
      await viewer.play({ player, renewal: "late" });
      await viewer.hold(async () => {
        await viewer.takeShortToken();
        await failing();
        await sleep(TOKEN_ENDED);
      });
      await viewer.settle("refused");
      assert.equal(await viewer.notice(),
        "The film has stopped: your session could not be renewed, since the token service is down. Refused, MDRM-508: JSON web token is expired.");
      assertHappened(await viewer.history(), GRANTED, RENEWED, "license request 401 MDRM-508", "token not renewed");
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
