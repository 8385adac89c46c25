// Pictures on canvases: small ones for the gallery, kept in bounded number and released; heatmaps as colour.

import { COLOURS } from "./heat.js";
import { outlineOf } from "./region.js";

const SMALL = 192; // pixels of a thumbnail's longer side
const MAX_KEPT = 480;
const kept = new Map(); // file → promise of an ImageBitmap, or of null where the browser cannot read it

/** A thumbnail of an item's "original", "reconstruction" or "heatmap" into `canvas`; says whether there is one. */
export async function paintThumbnail(canvas, item, kind) {
  const bitmap = await thumbnail(item, kind);
  if (bitmap?.width) paint(canvas, bitmap);
  return Boolean(bitmap);
}

/** The whole picture, or the outline of the "region" over it, into `canvas`; says whether there is one. */
export async function paintWhole(canvas, item, kind) {
  const bitmap = await read(item, kind).catch(() => null);
  if (bitmap) paint(canvas, bitmap);
  bitmap?.close();
  return Boolean(bitmap);
}

/** Release all thumbnails. */
export function releaseThumbnails() {
  for (const file of [...kept.keys()]) release(file);
}

function thumbnail(item, kind) {
  const file = fileOf(item, kind);
  const found = kept.get(file) ?? read(item, kind).then(shrink).catch(() => null);
  kept.delete(file);
  kept.set(file, found); // the last of the map was used last
  if (kept.size > MAX_KEPT) release(kept.keys().next().value);
  return found;
}

function release(file) {
  kept.get(file).then((bitmap) => bitmap?.close());
  kept.delete(file);
}

async function read(item, kind) {
  const bitmap = await createImageBitmap(fileOf(item, kind));
  if (kind === "region") {
    const shown = (await thumbnail(item, "original")) ?? (await thumbnail(item, "heatmap"));
    return outlineOf(bitmap, shown);
  }
  return kind === "heatmap" ? coloured(bitmap) : bitmap;
}

const fileOf = (item, kind) => (kind === "original" ? item.file : item[kind]);

async function shrink(bitmap) {
  const scale = SMALL / Math.max(bitmap.width, bitmap.height);
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
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) pixels.data.set(COLOURS[pixels.data[i]], i);
  context.putImageData(pixels, 0, 0);
  return createImageBitmap(canvas);
}
