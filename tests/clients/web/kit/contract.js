// What a .tflite says of itself: the members of the zip behind it, stored without compression.

export function contractOf(bytes) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && data.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error('the model carries no contract');
  let at = data.getUint32(end + 16, true);
  for (let n = data.getUint16(end + 10, true); n--;) {
    const [size, nameLength] = [data.getUint32(at + 20, true), data.getUint16(at + 28, true)];
    const name = text(bytes.subarray(at + 46, at + 46 + nameLength));
    const local = data.getUint32(at + 42, true);
    const start = local + 30 + data.getUint16(local + 26, true) + data.getUint16(local + 28, true);
    if (name === 'lesionlite.json') return JSON.parse(text(bytes.subarray(start, start + size)));
    at += 46 + nameLength + data.getUint16(at + 30, true) + data.getUint16(at + 32, true);
  }
  throw new Error('the model carries no contract');
}

const text = (bytes) => new TextDecoder().decode(bytes);

export async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
