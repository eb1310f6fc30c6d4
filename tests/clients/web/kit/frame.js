// Turning upright and `pillow-bilinear-v1`, both by docs/pixels.md.

export function upright({ width, height, pixels, orientation }) {
  const swaps = orientation >= 5;
  const [w, h] = swaps ? [height, width] : [width, height];
  const turned = new Uint8Array(pixels.length);
  const rows = [3, 4, 7, 8].includes(orientation);
  const columns = [2, 3, 6, 7].includes(orientation);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const [u, v] = [columns ? w - 1 - x : x, rows ? h - 1 - y : y];
      const [sx, sy] = swaps ? [v, u] : [u, v];
      const from = 3 * (sy * width + sx);
      turned.set(pixels.subarray(from, from + 3), 3 * (y * w + x));
    }
  }
  return { width: w, height: h, pixels: turned };
}

export function resize({ width, height, pixels }, toWidth, toHeight) {
  const across = toWidth === width ? pixels : pass(pixels, height, width, toWidth, 3, 3 * width, 3 * toWidth);
  if (toHeight === height) return across;
  return pass(across, toWidth, height, toHeight, 3 * toWidth, 3, 3);
}

// One axis: `lines` lines of `n` samples to `m`. `step` leads from sample to sample; `from` and `to`
// from line to line, in the source and in the result.
function pass(source, lines, n, m, step, from, to) {
  const result = new Uint8Array(step === 3 ? lines * to : lines * 3 * m);
  taps(n, m).forEach(({ first, weights }, i) => {
    for (let line = 0; line < lines; line++) {
      for (let c = 0; c < 3; c++) {
        let sum = 1 << 21;
        weights.forEach((weight, j) => { sum += weight * source[line * from + (first + j) * step + c]; });
        result[line * to + i * step + c] = Math.min(255, Math.max(0, sum >> 22));
      }
    }
  });
  return result;
}

function taps(n, m) {
  const scale = n / m;
  const spread = Math.max(scale, 1);
  return Array.from({ length: m }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - spread + 0.5), 0);
    const last = Math.min(Math.trunc(centre + spread + 0.5), n);
    const shares = Array.from({ length: last - first }, (__, j) =>
      Math.max(0, 1 - Math.abs((j + first - centre + 0.5) * (1 / spread))));
    const sum = shares.reduce((a, b) => a + b, 0);
    return { first, weights: shares.map((share) => Math.trunc(0.5 + (share / sum) * 2 ** 22)) };
  });
}
