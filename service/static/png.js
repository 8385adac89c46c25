// PNG files as the server sends them: in base64, within JSON.

import { brightest } from "./heat.js";

const MAX_SIDE = 768; // pixels of a map that is kept: there may be thousands

/** The file of such a text. */
export const png = (base64) => fileOf(bytesOf(base64));

/** A grey map: { file, size }. `size` is its [width, height] as sent; the file has at most MAX_SIDE pixels a side. */
export async function mapOf(base64) {
  const bytes = bytesOf(base64);
  const head = new DataView(bytes.buffer);
  const size = [16, 20].map((at) => head.getUint32(at)); // where a PNG file has them, big-endian
  return { size, file: Math.max(...size) > MAX_SIDE ? await reduced(fileOf(bytes)) : fileOf(bytes) };
}

async function reduced(file) {
  const bitmap = await brightest(await createImageBitmap(file), MAX_SIDE);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
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
