// An ICC profile of a matrix and curves to sRGB, by docs/pixels.md.

const TO_PCS = [
  [0.43607, 0.38515, 0.14307],
  [0.22249, 0.71687, 0.06061],
  [0.01392, 0.09708, 0.7141],
];

export function convert(rgb, icc) {
  const tags = tagsOf(icc);
  const columns = ['rXYZ', 'gXYZ', 'bXYZ'].map((name) => xyz(tags.get(name)));
  const curves = ['rTRC', 'gTRC', 'bTRC'].map((name) => curve(tags.get(name)));
  const matrix = product(inverse(TO_PCS), transposed(columns));
  const result = new Uint8Array(rgb.length);
  for (let i = 0; i < rgb.length; i += 3) {
    const light = curves.map((at, channel) => at[rgb[i + channel]]);
    matrix.forEach((row, channel) => {
      const linear = row[0] * light[0] + row[1] * light[1] + row[2] * light[2];
      result[i + channel] = Math.round(255 * encoded(Math.min(1, Math.max(0, linear))));
    });
  }
  return result;
}

const encoded = (linear) =>
  linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;

function tagsOf(icc) {
  const data = new DataView(icc.buffer, icc.byteOffset, icc.byteLength);
  const tags = new Map();
  for (let i = 0; i < data.getUint32(128); i++) {
    const at = 132 + 12 * i;
    const name = String.fromCharCode(...icc.subarray(at, at + 4));
    const start = data.getUint32(at + 4);
    tags.set(name, new DataView(icc.buffer, icc.byteOffset + start, data.getUint32(at + 8)));
  }
  return tags;
}

const xyz = (tag) => [8, 12, 16].map((at) => tag.getInt32(at) / 65536);

// The light of each of the 256 sample values.
function curve(tag) {
  const n = tag.getUint32(8);
  return Array.from({ length: 256 }, (_, value) => {
    const sample = value / 255;
    if (n === 0) return sample;
    if (n === 1) return sample ** (tag.getUint16(12) / 256);
    const place = sample * (n - 1);
    const low = Math.floor(place);
    const [a, b] = [low, Math.min(low + 1, n - 1)].map((i) => tag.getUint16(12 + 2 * i) / 65535);
    return a + (b - a) * (place - low);
  });
}

const transposed = (m) => m[0].map((_, i) => m.map((row) => row[i]));
const product = (a, b) =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0)));

function inverse(m) {
  const minor = (i, j) => {
    const rows = m.filter((_, row) => row !== i).map((row) => row.filter((_, col) => col !== j));
    return rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0];
  };
  const determinant = m[0].reduce((sum, value, j) => sum + (j % 2 ? -1 : 1) * value * minor(0, j), 0);
  return m.map((_, i) => m.map((__, j) => ((i + j) % 2 ? -1 : 1) * minor(j, i) / determinant));
}
