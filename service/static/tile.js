// One image of the gallery: a button with its pictures, score, p-value and verdict.

import { desk } from "./desk.js";
import { make } from "./dom.js";
import { paintThumbnail } from "./pictures.js";
import { strengthText, strongestBox } from "./strongest.js";
import { NAMES, SIGNS, number } from "./verdicts.js";

/** A tile for an item; it shows nothing yet. */
export function makeTile(item) {
  const name = make("span", { className: "name", title: item.name }, item.name);
  const label = make("span", { className: "label" }, item.label ? `labelled ${item.label}` : "");
  const button = make("button", { type: "button", className: "tile", tabIndex: -1 });
  button.append(name, make("span", { className: "trio" }), make("span", { className: "verdict" }), label);
  button.append(make("span", { className: "numbers" }));
  const tile = make("li", {}, button);
  tile.dataset.id = item.id;
  showPictures(button, item);
  return tile;
}

/** Bring a tile's texts, and its pictures where they have come since, up to date. */
export function showItem(tile, item) {
  const button = tile.firstElementChild;
  const verdict = desk.verdict(item);
  button.dataset.verdict = verdict;
  setText(button, ".verdict", `${SIGNS[verdict]} ${NAMES[verdict]}${corrected(item)}`);
  const { score, p_value: p } = item.answer ?? {};
  setText(button, ".numbers", item.answer ? `score ${number(score)} · p ${number(p)}` : "");
  if (shown.get(button) !== contentOf(item)) showPictures(button, item);
}

/** What a person said of an item, to follow its verdict. */
export function corrected(item) {
  if (!item.correction) return "";
  return item.correction === desk.verdict(item) ? ", confirmed" : `, corrected to ${item.correction}`;
}

const shown = new WeakMap(); // button → what its pictures were drawn for
const contentOf = (item) => item.problem ?? item.heatmap;

function showPictures(button, item) {
  shown.set(button, contentOf(item));
  const trio = button.querySelector(".trio");
  if (item.problem) {
    trio.replaceChildren(make("span", { className: "why" }, item.problem));
    return;
  }
  const panes = [pane(item, "image", ["original"])];
  if (item.heatmap) {
    if (item.reconstruction) panes.push(pane(item, "closest normal", ["reconstruction"]));
    panes.push(pane(item, "heatmap", ["original", "heatmap"]));
  }
  trio.replaceChildren(...panes);
}

function pane(item, caption, kinds) {
  const stack = make("span", { className: "stack" });
  for (const kind of kinds) {
    const canvas = make("canvas", { className: kind });
    stack.append(canvas);
    paintThumbnail(canvas, item, kind).then((isThere) => {
      if (!isThere) canvas.replaceWith(make("span", { className: "why" }, kind === "original" ? "no preview" : ""));
    });
  }
  const words = make("span", { className: "caption" }, caption);
  if (kinds.includes("heatmap")) {
    stack.append(...strongestBox(item));
    words.append(...strengthText(item));
  }
  return make("span", { className: "pane" }, stack, words);
}

function setText(button, selector, text) {
  const target = button.querySelector(selector);
  if (target.textContent !== text) target.textContent = text;
}
