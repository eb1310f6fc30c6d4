// A second implementation of lesionlite's device side: runs a conformance kit, and posts a line of
// results for each image. Written after docs/pixels.md and docs/conformance.md alone.
import { loadAndCompile, loadLiteRt, Tensor } from '@litertjs/core';
import { contractOf, sha256 } from './contract.js';
import { resize, upright } from './frame.js';
import { isJpeg, readJpeg } from './jpeg.js';
import { isPng, readPng } from './png.js';

const post = (kind, body) => fetch(`/${kind}`, { method: 'POST', body: JSON.stringify(body) });

async function bytesOf(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function decoded(bytes, decoder) {
  if (isPng(bytes)) return readPng(bytes);
  if (isJpeg(bytes)) return readJpeg(bytes, decoder);
  throw new Error('this is neither a PNG nor a JPEG');
}

// What the browser's canvas makes of the file, as an app that knows no better has it.
async function onCanvas(bytes, width, height) {
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context.drawImage(bitmap, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  return Uint8Array.from(rgba.filter((_, i) => i % 4 !== 3));
}

async function seen(bytes, way, width, height) {
  if (way === 'canvas') return { tensor: await onCanvas(bytes, width, height) };
  const picture = await decoded(bytes, ['jpeg-js', 'not turned'].includes(way) ? 'jpeg-js' : 'browser');
  const wrong = { 'not turned': 1, 'turned twice': picture.exif };
  const turned = upright({ ...picture, orientation: wrong[way] ?? picture.orientation });
  const facts = {
    width: turned.width,
    height: turned.height,
    decoded_sha256: await sha256(turned.pixels),
  };
  return { tensor: resize(turned, width, height), facts };
}

const decide = (score, threshold) => (score >= threshold ? 'refer' : 'no_referral');

async function line(model, contract, kit, image, way) {
  const [, height, width] = contract.input.shape;
  const bytes = await bytesOf(`/job/kit/${image.file}`);
  const { tensor, facts } = await seen(bytes, way, width, height);
  const input = new Tensor(tensor, contract.input.shape);
  const { score: output } = await model.run({ image: input });
  const score = (await output.data())[0];
  input.delete();
  output.delete();
  const rgb = ([row, column]) => [...tensor.subarray(3 * (row * width + column)).subarray(0, 3)];
  return {
    file: image.file,
    score,
    decision: decide(score, contract.threshold.value),
    pixels_sha256: await sha256(tensor),
    samples: kit.places.map(rgb),
    ...facts,
    ...(DIGESTS_ALONE.includes(way) ? {} : { tensor: base64(tensor) }),
  };
}

// By which of the two kinds of evidence the pixels are judged.
const DIGESTS_ALONE = ['not turned', 'turned twice'];
const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));

async function main() {
  const [kit, bytes] = [await (await fetch('/job/kit/kit.json')).json(), await bytesOf('/job/kit.tflite')];
  const contract = contractOf(bytes);
  await loadLiteRt('/packages/@litertjs/core/wasm/');
  const model = await loadAndCompile(bytes, { accelerator: 'wasm' });
  for (const way of ['browser', 'jpeg-js', 'not turned', 'turned twice', 'canvas']) {
    await post('result', {
      way,
      kit: kit.digest,
      model: contract.flatbuffer_sha256.slice(0, 12),
      backend: 'LiteRT.js',
      threshold: contract.threshold.value,
    });
    for (const image of kit.images) {
      await post('result', { way, ...(await line(model, contract, kit, image, way)) });
    }
    for (const { case: name, score } of kit.rule) {
      await post('result', { way, case: name, decision: decide(score, contract.threshold.value) });
    }
  }
  await post('done', { browser: navigator.userAgent });
}

main().catch((error) => post('failed', { message: String(error), stack: String(error.stack) }));
