// PNG by docs/pixels.md: every colour type and depth but interlaced ones.
import { convert } from './profile.js';
import { orientationOf } from './exif.js';

const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

export const isPng = (bytes) => bytes[0] === 0x89 && bytes[1] === 0x50;

// { width, height, pixels (RGB, as stored, in sRGB), orientation }
export async function readPng(bytes) {
  const chunks = chunksOf(bytes);
  const header = view(chunks.get('IHDR')[0]);
  const [width, height] = [header.getUint32(0), header.getUint32(4)];
  const [depth, color, interlace] = [header.getUint8(8), header.getUint8(9), header.getUint8(12)];
  if (interlace) throw new Error('interlaced PNGs are not read');
  const channels = CHANNELS[color];
  const rows = unfilter(await inflate(joined(chunks.get('IDAT'))), width, height, channels * depth);
  const samples = narrowed(rows, width, height, channels, depth, color === 3);
  const { rgb, alpha } = colors(samples, color, chunks);
  const profile = chunks.has('iCCP') ? await profileOf(chunks.get('iCCP')[0]) : null;
  const srgb = profile ? convert(rgb, profile) : rgb;
  return {
    width,
    height,
    pixels: alpha ? onWhite(srgb, alpha) : srgb,
    orientation: chunks.has('eXIf') ? orientationOf(chunks.get('eXIf')[0]) : 1,
  };
}

const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function chunksOf(bytes) {
  const found = new Map();
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view(bytes).getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    found.set(kind, [...(found.get(kind) ?? []), bytes.subarray(at + 8, at + 8 + length)]);
    at += 12 + length;
  }
  return found;
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function profileOf(chunk) {
  return inflate(chunk.subarray(chunk.indexOf(0) + 2));
}

function unfilter(data, width, height, bits) {
  const length = Math.ceil((width * bits) / 8);
  const step = Math.max(1, bits >> 3);
  const rows = new Uint8Array(height * length);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (length + 1)];
    for (let x = 0; x < length; x++) {
      const at = y * length + x;
      const left = x >= step ? rows[at - step] : 0;
      const up = y ? rows[at - length] : 0;
      const corner = y && x >= step ? rows[at - length - step] : 0;
      rows[at] = data[y * (length + 1) + 1 + x] + predicted(filter, left, up, corner);
    }
  }
  return rows;
}

function predicted(filter, left, up, corner) {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

// One number a sample: 16 bits give the high byte, 1, 2 and 4 are widened, a palette's are kept.
function narrowed(rows, width, height, channels, depth, isPalette) {
  const n = width * channels;
  const samples = new Uint8Array(height * n);
  const length = Math.ceil((n * depth) / 8);
  const scale = isPalette ? 1 : 255 / (2 ** Math.min(depth, 8) - 1);
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < n; i++) {
      let value;
      if (depth === 16) value = rows[y * length + 2 * i];
      else if (depth === 8) value = rows[y * length + i];
      else {
        const bit = i * depth;
        value = (rows[y * length + (bit >> 3)] >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
      }
      samples[y * n + i] = depth < 8 ? value * scale : value;
    }
  }
  return samples;
}

function colors(samples, color, chunks) {
  const channels = CHANNELS[color];
  const n = samples.length / channels;
  const rgb = new Uint8Array(3 * n);
  const hasAlpha = color === 4 || color === 6 || (color === 3 && chunks.has('tRNS'));
  const alpha = hasAlpha ? new Uint8Array(n).fill(255) : null;
  const palette = color === 3 ? chunks.get('PLTE')[0] : null;
  const clear = color === 3 && alpha ? chunks.get('tRNS')[0] : null;
  for (let i = 0; i < n; i++) {
    const at = i * channels;
    if (palette) {
      rgb.set(palette.subarray(3 * samples[at], 3 * samples[at] + 3), 3 * i);
      if (clear) alpha[i] = clear[samples[at]] ?? 255;
    } else if (channels < 3) rgb.fill(samples[at], 3 * i, 3 * i + 3);
    else rgb.set(samples.subarray(at, at + 3), 3 * i);
    if (color === 4 || color === 6) alpha[i] = samples[at + channels - 1];
  }
  return { rgb, alpha };
}

function onWhite(rgb, alpha) {
  return rgb.map((value, i) => {
    const a = alpha[Math.floor(i / 3)];
    return Math.round((value * a + 255 * (255 - a)) / 255);
  });
}
