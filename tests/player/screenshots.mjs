// The pictures in the README, and the page at the width of a phone. SCREENSHOTS=update replaces what is committed; otherwise they
// are made in target/player, and the page has to fit.

import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { ROOT } from "../../envoy/player/project.mjs";
import { Viewer } from "./support.mjs";

const COMMITTED = fileURLToPath(new URL("screenshots", import.meta.url));
const FOLDER = process.env.SCREENSHOTS === "update" ? COMMITTED : join(ROOT, "target/player/screenshots");
const LARGEST = 150_000; // bytes
const DESKTOP = { width: 960, height: 765 };
const PHONE = { width: 375, height: 812 };

const PICTURES = [
  { file: "playing.png", viewport: DESKTOP, token: "good" },
  { file: "refused.png", viewport: DESKTOP, token: "disabled key" },
  { file: "phone.png", viewport: PHONE, token: "wrong audience" },
];

for (const { file, viewport, token } of PICTURES) {
  test(`the page fits ${viewport.width} pixels: ${file}`, async () => {
    mkdirSync(FOLDER, { recursive: true });
    const viewer = await Viewer.open({ viewport, colorScheme: "light" });
    await viewer.play({ player: "shaka", token });
    if (token === "good") await viewer.reach(3);
    else await viewer.settle("refused");
    const overflow = await viewer.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${overflow} pixels too wide`);
    await viewer.page.screenshot({ path: join(FOLDER, file), fullPage: viewport === PHONE });
    const { size } = statSync(join(COMMITTED, file));
    assert.ok(size < LARGEST, `${file} has ${size} bytes`);
    await viewer.close();
  });
}

test("the page can be used without a mouse", async () => {
  const viewer = await Viewer.open();
  const { keyboard } = viewer.page;
  await viewer.page.focus("[name=player][value=shaka]");
  for (const key of ["ArrowRight", "ArrowRight", "Tab", "ArrowRight", "Tab"]) await keyboard.press(key);
  await keyboard.type("expired");
  await keyboard.press("Tab");
  await keyboard.type("never");
  for (const key of ["Tab", "Enter"]) await keyboard.press(key);
  await viewer.settle("refused");
  assert.equal((await viewer.answer()).code, "MDRM-508");
  assert.equal(await viewer.page.isChecked("[value=hls]"), true);
  assert.match(await viewer.page.textContent("#request"), /Authorization=<token>/);
  await viewer.close();
});
