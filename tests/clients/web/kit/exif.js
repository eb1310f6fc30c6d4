// The EXIF orientation, 1 to 8; anything else, and any damaged block, counts as 1.

export function orientationOf(exif) {
  try {
    const data = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
    const little = data.getUint16(0) === 0x4949;
    const start = data.getUint32(4, little);
    for (let i = 0, n = data.getUint16(start, little); i < n; i++) {
      const at = start + 2 + 12 * i;
      if (data.getUint16(at, little) !== 274 || data.getUint32(at + 4, little) !== 1) continue;
      const long = data.getUint16(at + 2, little) === 4;
      const value = long ? data.getUint32(at + 8, little) : data.getUint16(at + 8, little);
      return value >= 1 && value <= 8 ? value : 1;
    }
  } catch { /* a block that is cut short */ }
  return 1;
}
