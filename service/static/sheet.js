// A sheet: pictures over each other, in the shape of the original, so that the same place is the same place in all.

import { make } from "./dom.js";
import { pictureOf } from "./pictures.js";
import { strongestBox } from "./strongest.js";

/** Layers of an item, and of what a model says of it; `paint(canvas, picture)` fills each, named `label`. */
export function makeSheet({ item, result, kinds, paint, label = "", lost }) {
  const sheet = make("span", { className: "sheet" });
  if (result?.size) setShape(sheet, result.size);
  for (const kind of kinds) {
    const picture = pictureOf(item, result, kind);
    const canvas = make("canvas", { className: kind, ...(label && { role: "img", ariaLabel: label }) });
    if (!picture && kind === "region") continue;
    sheet.append(canvas);
    if (!picture) canvas.replaceWith(make("span", { className: "why" }, lost.absent));
    else paint(canvas, picture).then((size) => (size ? setShape(sheet, size) : miss(canvas, kind)));
  }
  if (result?.heatmap && kinds.includes("heatmap")) sheet.append(...strongestBox(result));
  return sheet;

  function miss(canvas, kind) {
    const text = kind === "original" ? lost.unread : "";
    if (canvas.isConnected) canvas.replaceWith(make("span", { className: "why" }, text));
  }
}

/** Tell the style sheet a shape, of which all sheets below `element` are. */
function setShape(element, [width, height]) {
  element.style.setProperty("--ratio", width / height);
}
