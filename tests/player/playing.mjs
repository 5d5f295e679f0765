// Good tokens play, bad ones are refused by their code.

import assert from "node:assert/strict";
import { test } from "node:test";

import { STATES } from "../../envoy/player/tokens.mjs";
import { CODES, stage, withEachPlayer } from "./support.mjs";

for (const carriage of ["header", "query"]) {
  test(`every player plays with a good token in the ${carriage}`, () => withEachPlayer(async (viewer, player) => {
    await viewer.play({ player, carriage });
    await viewer.reach(1.5);
    const before = await viewer.decoded();
    await viewer.reach(2.5);
    assert.ok(before > 0 && (await viewer.decoded()) > before, "pictures are decoded");
    assert.equal((await viewer.answer()).status, "200");
  }));
}

test("every player shows the code of every bad token, and plays nothing", async () => {
  const bad = STATES.filter(({ code }) => code);
  const arrived = stage.received.length;
  await withEachPlayer(async (viewer, player) => {
    for (const [index, { name, code }] of bad.entries()) {
      await viewer.play({ player, token: name, renewal: "never", carriage: index % 2 ? "query" : "header" });
      await viewer.page.waitForFunction((code) => document.getElementById("code").textContent === code, code);
      await viewer.settle("refused");
      assert.deepEqual(await viewer.answer(), { code, ...CODES[code] }, name);
    }
    assert.equal(await viewer.decoded(), 0);
  });
  assert.equal(stage.received.length, arrived, "none reached the license server");
});

test("a token for other content is refused by the license server, readably", () => withEachPlayer(async (viewer, player) => {
  await viewer.play({ player, token: "other content" });
  await viewer.settle("refused");
  const message = "the token is for movie-2, which has no such key";
  assert.deepEqual(await viewer.answer(), { status: "403", code: "–", message });
  assert.equal(await viewer.decoded(), 0);
}));
