// Runs all browser tests in one process: they share one Envoy and one Chromium.

import "./playing.mjs";
import "./origins.mjs";
import "./systems.mjs";
import "./refresh.mjs";
import "./screenshots.mjs";
