// Pictures on canvases: small ones for the gallery, kept in bounded number and released; heatmaps as colour.
//
// A picture: { file, kind, size, preprocess }, of an "original", or of a model's "reconstruction", "heatmap" or
// "region", which cover the original exactly once they are stretched over it.

import { COLOURS, brightest } from "./heat.js";
import { placed } from "./placing.js";
import { outlineOf } from "./region.js";
import { Turns } from "./turns.js";

const SMALL = 192; // pixels of a thumbnail's longer side
const LARGE = 3072; // of a whole picture's
const MAX_KEPT = 480;
const decoding = new Turns(3); // a photograph takes a hundred megabytes while it is decoded
const kept = new Map(); // file → { found, canvases }

/** What there is to paint of an item; null where it is not there, or not yet. */
export function pictureOf(item, result, kind) {
  const file = kind === "original" ? item.file : result?.[kind];
  return file ? { file, kind, size: result?.size, preprocess: result?.preprocess } : null;
}

/** A thumbnail into `canvas`: the original's [width, height], or null where the browser cannot read the file. */
export async function paintThumbnail(canvas, picture) {
  const { bitmap, size } = (await thumbnail(picture, canvas)) ?? {};
  if (bitmap?.width) paint(canvas, bitmap);
  return size ?? null;
}

/** The whole picture into `canvas`; the same. */
export async function paintWhole(canvas, picture) {
  const found = decoding.take(async () => {
    await null; // so that a canvas made just now is in the document
    return canvas.isConnected ? read(picture, LARGE) : null;
  });
  const { bitmap, size } = (await found.catch(() => null)) ?? {};
  if (bitmap) paint(canvas, bitmap);
  bitmap?.close();
  return size ?? null;
}

/** Release all thumbnails. */
export function releaseThumbnails() {
  for (const file of [...kept.keys()]) release(file);
}

// A canvas that has left the document by the time of its turn, as in a gallery that scrolls by, needs nothing.
async function thumbnail(picture, canvas) {
  const { file } = picture;
  const entry = kept.get(file) ?? { canvases: [] };
  entry.canvases.push(canvas);
  const isWanted = () => entry.canvases.some(({ isConnected }) => isConnected);
  entry.found ??= decoding.take(async () => {
    await null; // so that a canvas made just now is in the document
    return isWanted() ? read(picture, SMALL).catch(() => null) : undefined;
  });
  kept.delete(file);
  kept.set(file, entry); // the last of the map was used last
  if (kept.size > MAX_KEPT) release(kept.keys().next().value);
  const found = await entry.found;
  entry.canvases = [];
  if (found === undefined && kept.get(file) === entry) kept.delete(file);
  return found;
}

function release(file) {
  kept.get(file).found.then((found) => found?.bitmap.close());
  kept.delete(file);
}

async function read({ file, kind, size, preprocess }, longest) {
  const decoded = await createImageBitmap(file);
  if (kind === "original") return { size: [decoded.width, decoded.height], bitmap: await shrink(decoded, longest) };
  if (kind === "region") return { size, bitmap: await outlineOf(decoded, size) };
  if (kind === "reconstruction") return { size, bitmap: await placed(decoded, size, preprocess) };
  return { size, bitmap: await coloured(await brightest(decoded, longest)) };
}

async function shrink(bitmap, longest) {
  const scale = longest / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1) return bitmap;
  const sides = [bitmap.width, bitmap.height];
  const [resizeWidth, resizeHeight] = sides.map((side) => Math.max(1, Math.round(side * scale)));
  const small = await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: "medium" });
  bitmap.close();
  return small;
}

function paint(canvas, bitmap) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.classList.toggle("coarse", Math.max(bitmap.width, bitmap.height) < SMALL);
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

async function coloured(grey) {
  const canvas = new OffscreenCanvas(grey.width, grey.height);
  const context = canvas.getContext("2d");
  context.drawImage(grey, 0, 0);
  grey.close();
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let at = 0; at < pixels.length; at += 1) pixels[at] = COLOURS[image.data[4 * at]];
  context.putImageData(image, 0, 0);
  return createImageBitmap(canvas);
}
