// Common encryption (ISO/IEC 23001-7, scheme `cenc`: AES-128 in counter mode) of the fragmented MP4 that ffmpeg's DASH muxer
// writes: one track a file, one run of samples a fragment. ffmpeg can encrypt by itself, but the version in Debian 12 leaves the
// initialization vectors (`senc`) out of fragments, and without them nobody can decrypt.

import { createCipheriv } from "node:crypto";

/** The system of `pssh` boxes that list key IDs and nothing else, which ClearKey reads (W3C, "cenc" Initialization Data Format). */
const COMMON_SYSTEM = Buffer.from("1077efecc0b24d02ace33c1e52e2fb4b", "hex");
const VECTOR_BYTES = 8;
/** So much of each slice stays readable: the length and type of its NAL unit, and the slice header. */
const CLEAR_BYTES = 96;
/** The sample entries that are known here, the length of their fixed part, and what they are called once encrypted. */
const SAMPLE_ENTRIES = {
  avc1: { fixedBytes: 78, encrypted: "encv" },
  mp4a: { fixedBytes: 28, encrypted: "enca" },
};
/** `tfhd`: offsets count from the start of the `moof`. */
const BASE_IS_MOOF = 0x020000;
/** `trun`: the offset of the data, the flags of the first sample; of each sample its duration, size, flags, composition offset. */
const TRUN = { dataOffset: 0x001, firstFlags: 0x004, duration: 0x100, size: 0x200, flags: 0x400, composition: 0x800 };
const SENC_HAS_SUBSAMPLES = 2;

/**
 * Encrypts a track: its initialization segment and all its media segments, in order.
 * `key` and `kid` are 16 bytes each. Tracks that share a key need different `trackNumber`s: no vector may serve twice.
 */
export function encryptTrack({ init, segments }, { key, kid, trackNumber }) {
  const isVideo = init.includes("avc1");
  let samples = 0;
  const nextVector = () => Buffer.concat([uint32(trackNumber), uint32(samples++)]);
  return {
    init: encryptInit(init, kid),
    segments: segments.map((segment) => encryptSegment(segment, { key, isVideo, nextVector })),
  };
}

/** Says how the track is encrypted, and by which key. */
function encryptInit(init, kid) {
  const protectedInit = edit(init, ["moov", "trak", "mdia", "minf", "stbl", "stsd"], (stsd) => {
    const [{ type, payload: entry }] = boxes(stsd.subarray(8));
    const known = SAMPLE_ENTRIES[type];
    if (!known) throw new Error(`cannot encrypt a track of ${type}`);
    const scheme = fullBox("schm", 0, Buffer.from("cenc"), uint32(0x10000));
    const defaults = fullBox("tenc", 0, Buffer.from([0, 0, 1, VECTOR_BYTES]), kid);
    const protection = box("sinf", box("frma", Buffer.from(type)), scheme, box("schi", defaults));
    return Buffer.concat([stsd.subarray(0, 8), box(known.encrypted, entry, protection)]);
  });
  const keyIds = box("pssh", uint32(0x01000000), COMMON_SYSTEM, uint32(1), kid, uint32(0));
  return edit(protectedInit, ["moov"], (moov) => Buffer.concat([moov, keyIds]));
}

/** Leaves the segment's index out: it counts bytes, and fragments grow. */
function encryptSegment(segment, track) {
  const encrypted = [];
  let moof;
  for (const { type, whole, payload } of boxes(segment)) {
    if (type === "moof") moof = payload;
    else if (type === "mdat") encrypted.push(encryptFragment(moof, payload, track));
    else if (type !== "sidx") encrypted.push(whole);
  }
  return Buffer.concat(encrypted);
}

function encryptFragment(moof, mdat, { key, isVideo, nextVector }) {
  const [mfhd, traf] = boxes(moof);
  if (mfhd.type !== "mfhd" || traf.type !== "traf") throw new Error("not one traf in a moof");
  const tracks = [...boxes(traf.payload)];
  const [tfhd, trun] = ["tfhd", "trun"].map((wanted) => tracks.find(({ type }) => type === wanted).payload);
  if (!(flagsOf(tfhd) & BASE_IS_MOOF)) throw new Error("offsets do not count from the moof");

  const data = [];
  const auxiliary = [];
  let at = 0;
  for (const size of sampleSizes(trun)) {
    const sample = mdat.subarray(at, (at += size));
    const vector = nextVector();
    const subsamples = isVideo ? subsamplesOf(sample) : [];
    data.push(encryptSample(sample, subsamples, key, vector));
    auxiliary.push(Buffer.concat([vector, ...(isVideo ? [uint16(subsamples.length)] : []), ...subsamples.map(
      ({ clear, secret }) => Buffer.concat([uint16(clear), uint32(secret)]),
    )]));
  }
  if (at !== mdat.length) throw new Error("samples do not fill their mdat");

  // `senc` comes last, so that what `saio` points to, its entries, is counted from the end of the `moof`.
  const entries = Buffer.concat(auxiliary);
  const count = uint32(auxiliary.length);
  const saiz = fullBox("saiz", 0, Buffer.from([0]), count, Buffer.from(auxiliary.map(({ length }) => length)));
  const senc = fullBox("senc", isVideo ? SENC_HAS_SUBSAMPLES : 0, count, entries);
  const saioBytes = 20;
  const moofBytes = 8 + moof.length + saiz.length + saioBytes + senc.length;
  const saio = fullBox("saio", 0, uint32(1), uint32(moofBytes - entries.length));
  const shifted = edit(traf.payload, ["trun"], (run) => {
    const moved = Buffer.from(run);
    moved.writeInt32BE(run.readInt32BE(8) + saiz.length + saio.length + senc.length, 8);
    return moved;
  });
  return Buffer.concat([box("moof", mfhd.whole, box("traf", shifted, saiz, saio, senc)), box("mdat", ...data)]);
}

/** The sizes of the samples of a `trun`. */
function sampleSizes(trun) {
  const flags = flagsOf(trun);
  if (!(flags & TRUN.dataOffset) || !(flags & TRUN.size)) throw new Error("a trun without offset or sizes");
  const sizeAt = flags & TRUN.duration ? 4 : 0;
  const perSample = [TRUN.duration, TRUN.size, TRUN.flags, TRUN.composition].filter((flag) => flags & flag).length * 4;
  const first = flags & TRUN.firstFlags ? 16 : 12;
  return Array.from({ length: trun.readUInt32BE(4) }, (_, index) => trun.readUInt32BE(first + index * perSample + sizeAt));
}

/** Which bytes of a picture stay clear and which become secret: all of a NAL unit but a slice is clear. */
function subsamplesOf(sample) {
  const subsamples = [];
  let clear = 0;
  for (let at = 0; at < sample.length; ) {
    const unit = 4 + sample.readUInt32BE(at);
    const isSlice = (sample[at + 4] & 0x1f) <= 5;
    const secret = isSlice ? Math.floor(Math.max(0, unit - CLEAR_BYTES) / 16) * 16 : 0;
    clear += unit - secret;
    if (secret > 0) {
      subsamples.push({ clear, secret });
      clear = 0;
    }
    at += unit;
  }
  if (clear > 0) subsamples.push({ clear, secret: 0 });
  return subsamples;
}

function encryptSample(sample, subsamples, key, vector) {
  const cipher = createCipheriv("aes-128-ctr", key, Buffer.concat([vector, Buffer.alloc(8)]));
  if (subsamples.length === 0) return cipher.update(sample);
  let at = 0;
  return Buffer.concat(subsamples.flatMap(({ clear, secret }) => [
    sample.subarray(at, (at += clear)),
    cipher.update(sample.subarray(at, (at += secret))),
  ]));
}

/** The boxes that `data` consists of. */
function* boxes(data) {
  for (let at = 0; at < data.length; ) {
    const whole = data.subarray(at, at + data.readUInt32BE(at));
    if (whole.length < 8) throw new Error(`not a box at byte ${at}`);
    yield { type: whole.toString("latin1", 4, 8), whole, payload: whole.subarray(8) };
    at += whole.length;
  }
}

/** `data` with the payload of the box at `path` replaced, and the sizes of all boxes around it set right. */
function edit(data, [name, ...path], change) {
  return Buffer.concat([...boxes(data)].map(({ type, whole, payload }) => {
    if (type !== name) return whole;
    return box(type, path.length === 0 ? change(payload) : edit(payload, path, change));
  }));
}

function box(type, ...payload) {
  const body = Buffer.concat(payload);
  return Buffer.concat([uint32(8 + body.length), Buffer.from(type, "latin1"), body]);
}

/** A box that begins with version 0 and flags. */
function fullBox(type, flags, ...payload) {
  return box(type, uint32(flags), ...payload);
}

function flagsOf(payload) {
  return payload.readUInt32BE(0) & 0xffffff;
}

function uint16(value) {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function uint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
