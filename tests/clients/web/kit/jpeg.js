// JPEG, decoded by the browser or by the package jpeg-js; CMYK always by the latter, as inks.
import { orientationOf } from './exif.js';

export const isJpeg = (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8;

// { width, height, pixels (RGB, as stored), orientation }
export async function readJpeg(bytes, decoder) {
  const segments = segmentsOf(bytes);
  const orientation = segments.exif ? orientationOf(segments.exif) : 1;
  const isInk = segments.channels === 4;
  const read = decoder === 'browser' && !isInk ? byBrowser : byPackage;
  const picture = await read(bytes);
  // Chromium turns a JPEG by itself, whatever `imageOrientation` says.
  return { ...picture, orientation: read === byBrowser ? 1 : orientation, exif: orientation };
}

function segmentsOf(bytes) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = { exif: null, channels: 3 };
  for (let at = 2; at < bytes.length;) {
    const marker = bytes[at + 1];
    const end = at + 2 + data.getUint16(at + 2);
    const body = bytes.subarray(at + 4, end);
    if (marker >= 0xc0 && marker <= 0xc2) found.channels = body[5];
    const isExif = marker === 0xe1 && String.fromCharCode(...body.subarray(0, 5)) === 'Exif\0';
    if (isExif && !found.exif) found.exif = body.subarray(6);
    if (marker === 0xda) break;
    at = end;
  }
  return found;
}

async function byBrowser(bytes) {
  const bitmap = await createImageBitmap(new Blob([bytes]), {
    colorSpaceConversion: 'none',
    premultiplyAlpha: 'none',
  });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  return { width, height, pixels: Uint8Array.from(rgba.filter((_, i) => i % 4 !== 3)) };
}

function byPackage(bytes) {
  const image = new globalThis.JpegImage(); // jpeg-js: a global of a classic script
  image.opts = { tolerantDecoding: false, maxResolutionInMP: 100, maxMemoryUsageInMB: 512 };
  globalThis.JpegImage.resetMaxMemoryUsage(image.opts.maxMemoryUsageInMB * 2 ** 20);
  image.parse(bytes);
  const { width, height } = image;
  const samples = image.getData(width, height);
  const channels = image.components.length;
  const pixels = new Uint8Array(3 * width * height);
  for (let i = 0, j = 0; j < pixels.length; i += channels, j += 3) {
    if (channels === 1) pixels.fill(samples[i], j, j + 3);
    else if (channels === 3) pixels.set(samples.subarray(i, i + 3), j);
    else { // inks, 255 for full
      const left = 255 - samples[i + 3];
      for (let c = 0; c < 3; c++) pixels[j + c] = Math.floor(((255 - samples[i + c]) * left) / 255);
    }
  }
  return { width, height, pixels };
}
