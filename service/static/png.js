// PNG files as the server sends them: in base64, within JSON.

const MAX_SIDE = 768; // pixels of a map that is kept: it is smooth, and there may be thousands

/** The file of such a text. */
export const png = (base64) => fileOf(bytesOf(base64));

/** A grey map: { file, size }. `size` is its [width, height] as sent; the file has at most MAX_SIDE pixels a side. */
export async function mapOf(base64) {
  const bytes = bytesOf(base64);
  const head = new DataView(bytes.buffer);
  const size = [16, 20].map((at) => head.getUint32(at)); // where a PNG file has them, big-endian
  const scale = MAX_SIDE / Math.max(...size);
  return { size, file: scale < 1 ? await reduced(fileOf(bytes), size, scale) : fileOf(bytes) };
}

async function reduced(file, size, scale) {
  const [width, height] = size.map((side) => Math.max(1, Math.round(side * scale)));
  const options = { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" };
  const bitmap = await createImageBitmap(file, options);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob();
}

const fileOf = (bytes) => new Blob([bytes], { type: "image/png" });

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}
