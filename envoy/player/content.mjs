// Makes the film: two parts of generated picture and sound, each encrypted by a key of its own, as DASH and HLS.
//
//   node content.mjs FOLDER     needs ffmpeg

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { encryptTrack } from "./cenc.mjs";

/** Of each part. The second key is not asked for until the first part is nearly over. */
const PART_SECONDS = 8;
const PARTS = [{ picture: "testsrc2", pitch: 440 }, { picture: "smptehdbars", pitch: 587 }];
const TRACKS = ["video", "audio"];
const CLEARKEY = "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e";

const folder = process.argv[2];
mkdirSync(dirname(folder), { recursive: true });
// A folder of its own and a rename at the end: what was interrupted does not count as made.
const work = mkdtempSync(`${folder}.`);
const parts = PARTS.map((part, index) => makePart(`part${index + 1}`, part));
writeFileSync(join(work, "film.mpd"), dash(parts));
writeFileSync(join(work, "film.m3u8"), hlsMaster(parts[0]));
for (const track of TRACKS) writeFileSync(join(work, `${track}.m3u8`), hlsPlaylist(parts, track));
// What the license server gives away, in the form of a ClearKey license (W3C Encrypted Media Extensions, section 9.1.4).
const keys = parts.map(({ kid, key }) => ({ kty: "oct", kid: kid.toString("base64url"), k: key.toString("base64url") }));
writeFileSync(join(work, "keys.json"), JSON.stringify({ keys }, null, 2));
rmSync(folder, { recursive: true, force: true });
renameSync(work, folder);

function makePart(name, { picture, pitch }) {
  const lavfi = (source) => ["-f", "lavfi", "-i", `${source}:duration=${PART_SECONDS}`];
  execFileSync("ffmpeg", [
    "-nostdin", "-loglevel", "error",
    ...lavfi(`${picture}=size=640x360:rate=25`), ...lavfi(`sine=frequency=${pitch}:sample_rate=48000`),
    "-c:v", "libx264", "-profile:v", "main", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-b:v", "400k",
    "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-c:a", "aac", "-b:a", "64k",
    "-f", "dash", "-seg_duration", "2", "-hls_playlist", "1", "-init_seg_name", `${name}-$RepresentationID$-init.mp4`,
    "-media_seg_name", `${name}-$RepresentationID$-$Number%02d$.mp4`, `${name}.mpd`,
  ], { cwd: work, stdio: ["ignore", "inherit", "inherit"] });
  const taken = (file) => {
    const text = readFileSync(join(work, file), "utf8");
    rmSync(join(work, file));
    return text;
  };
  const part = {
    name,
    kid: randomBytes(16),
    key: randomBytes(16),
    manifest: taken(`${name}.mpd`),
    master: taken("master.m3u8"),
    playlists: TRACKS.map((_, number) => taken(`media_${number}.m3u8`)),
  };
  TRACKS.forEach((_, number) => encryptFiles(part, number));
  return part;
}

/** Replaces the files of one track by their encrypted form. */
function encryptFiles({ name, key, kid }, number) {
  const init = join(work, `${name}-${number}-init.mp4`);
  const segments = readdirSync(work).filter((file) => file.match(`^${name}-${number}-[0-9]+[.]mp4$`)).sort();
  const clear = { init: readFileSync(init), segments: segments.map((file) => readFileSync(join(work, file))) };
  const encrypted = encryptTrack(clear, { key, kid, trackNumber: number });
  writeFileSync(init, encrypted.init);
  segments.forEach((file, index) => writeFileSync(join(work, file), encrypted.segments[index]));
}

/** Each part is a period. */
function dash(parts) {
  const periods = parts.map(({ name, kid, manifest }, index) => {
    const [, sets] = manifest.match(/<Period[^>]*>([\s\S]*)<\/Period>/);
    const uuid = kid.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    const protection = `
      <ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc" cenc:default_KID="${uuid}"/>
      <ContentProtection schemeIdUri="${CLEARKEY}" value="ClearKey1.0"/>`;
    const times = `start="PT${index * PART_SECONDS}S" duration="PT${PART_SECONDS}S"`;
    return `  <Period id="${name}" ${times}>${sets.replace(/<AdaptationSet[^>]*>/g, `$&${protection}`)}</Period>`;
  });
  return `<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:cenc="urn:mpeg:cenc:2013" profiles="urn:mpeg:dash:profile:isoff-live:2011"
  type="static" mediaPresentationDuration="PT${parts.length * PART_SECONDS}S" minBufferTime="PT2S">
${periods.join("\n")}
</MPD>
`;
}

function hlsMaster({ master }) {
  return TRACKS.reduce((text, track, number) => text.replace(`media_${number}.m3u8`, `${track}.m3u8`), master);
}

/** Each part is a discontinuity. */
function hlsPlaylist(parts, track) {
  const number = TRACKS.indexOf(track);
  const sections = parts.map(({ name, kid, playlists }) => {
    const segments = playlists[number].match(/^#EXTINF:.*$|^part.*[.]mp4$/gm);
    const key = `METHOD=SAMPLE-AES-CTR,KEYFORMAT="org.w3.clearkey",KEYFORMATVERSIONS="1",URI="clearkey:${name}",KEYID=0x${kid.toString("hex")}`;
    return [`#EXT-X-KEY:${key}`, `#EXT-X-MAP:URI="${name}-${number}-init.mp4"`, ...segments].join("\n");
  });
  return `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:3
#EXT-X-PLAYLIST-TYPE:VOD
${sections.join("\n#EXT-X-DISCONTINUITY\n")}
#EXT-X-ENDLIST
`;
}
