// Where things are.

import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const MDRM = join(ROOT, process.env.CARGO_TARGET_DIR ?? "target", "debug/mdrm");
export const FILM = join(ROOT, "target/player/film");
export const demoKey = (file) => join(ROOT, "envoy/keys", file);
