// Runs every model of the job in MediaPipe Tasks for Web and in LiteRT.js, and posts what they show.
import { loadAndCompile, loadLiteRt, Tensor } from '@litertjs/core';
import { FilesetResolver, ImageClassifier } from '@mediapipe/tasks-vision';

const SIDE = 224;
const VALUES = SIDE * SIDE * 3;
const EVERYTHING = 1e-9; // a score threshold: 0 would count as none, and the metadata's would hold

async function bytesOf(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
const post = (kind, body) => fetch(`/${kind}`, { method: 'POST', body: JSON.stringify(body) });

function imageData(rgb, width, height) {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0, j = 0; i < rgb.length; i += 3, j += 4) rgba.set(rgb.subarray(i, i + 3), j);
  return new ImageData(rgba, width, height);
}

async function withTask(files, model, options, use) {
  const task = await ImageClassifier.createFromOptions(files, {
    baseOptions: { modelAssetBuffer: model, delegate: 'CPU' },
    runningMode: 'IMAGE',
    ...options,
  });
  try {
    return use((image) => task.classify(image).classifications[0].categories);
  } finally {
    task.close();
  }
}

async function mediaPipe(files, bytes, model, images) {
  const all = await withTask(files, bytes, { scoreThreshold: EVERYTHING }, (classify) =>
    images.map(classify));
  const shown = await withTask(files, bytes, { categoryAllowlist: [model.score_of] }, (classify) =>
    images.map((image) => classify(image).length > 0));
  const misspelt = await withTask(files, bytes, { categoryAllowlist: ['malignat'],
    scoreThreshold: EVERYTHING }, (classify) => classify(images[0]).length > 0);
  const byIndex = [...all[0]].sort((a, b) => a.index - b.index);
  return {
    labels: byIndex.map((category) => category.categoryName),
    scores: all.map((found) => found.find((c) => c.categoryName === model.score_of).score),
    shown,
    misspelt,
  };
}

async function liteRt(bytes, pixels, n) {
  const model = await loadAndCompile(bytes, { accelerator: 'wasm' });
  const scores = [];
  for (let i = 0; i < n; i++) {
    const image = new Tensor(pixels.slice(i * VALUES, (i + 1) * VALUES), [1, SIDE, SIDE, 3]);
    const output = await model.run({ image }); // by the names in the signature
    const values = await output.score.data();
    scores.push(values[values.length - 1]); // of two scores, the last
    image.delete();
    output.score.delete();
  }
  return { scores };
}

async function resized(files, echo, image) {
  return withTask(files, echo, {}, (classify) => {
    const values = new Array(VALUES);
    for (const { index, score } of classify(image)) values[index] = score;
    return values;
  });
}

// The red, green and blue of an image that a canvas has stretched.
function onCanvas(image, quality) {
  const whole = new OffscreenCanvas(image.width, image.height);
  whole.getContext('2d').putImageData(image, 0, 0);
  const context = new OffscreenCanvas(SIDE, SIDE).getContext('2d', { willReadFrequently: true });
  context.imageSmoothingQuality = quality;
  context.drawImage(whole, 0, 0, SIDE, SIDE);
  return [...context.getImageData(0, 0, SIDE, SIDE).data].filter((_, i) => i % 4 !== 3);
}

// Where the page, which may ask this server alone, was asked to go by the packages in it.
const blocked = [];
addEventListener('securitypolicyviolation', (event) => blocked.push(event.blockedURI));

async function main() {
  const job = await (await fetch('/job/job.json')).json();
  const pixels = await bytesOf('/job/pixels.bin');
  const images = Array.from({ length: job.n }, (_, i) =>
    imageData(pixels.subarray(i * VALUES, (i + 1) * VALUES), SIDE, SIDE));
  await loadLiteRt('/packages/@litertjs/core/wasm/');
  for (const model of job.models) {
    const bytes = await bytesOf(`/job/${model.file}`);
    await post('result', { client: 'LiteRT.js', model: model.name,
      ...(await liteRt(bytes, pixels, job.n)) });
  }
  await post('result', { client: 'LiteRT.js', blocked: blocked.splice(0) });
  const files = await FilesetResolver.forVisionTasks('/packages/@mediapipe/tasks-vision/wasm');
  for (const model of job.models) {
    const bytes = await bytesOf(`/job/${model.file}`);
    await post('result', { client: 'tasks-vision', model: model.name,
      ...(await mediaPipe(files, bytes, model, images)) });
  }
  const echo = await bytesOf(`/job/${job.echoes[String(SIDE)]}`);
  for (const { file, width, height } of await (await fetch('/whole.json')).json()) {
    const image = imageData(await bytesOf(file), width, height);
    const values = await resized(files, echo, image);
    await post('result', { client: 'tasks-vision', file, values });
    for (const quality of ['low', 'medium', 'high']) {
      await post('result', { client: 'Chromium\'s canvas', file, quality, values: onCanvas(image, quality) });
    }
  }
  await post('result', { client: 'tasks-vision', blocked });
  await post('done', { browser: navigator.userAgent });
}

main().catch((error) => post('failed', { message: String(error), stack: String(error.stack) }));
