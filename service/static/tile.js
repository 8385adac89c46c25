// One image of the gallery: a button with its pictures, and what each model that judges says of it.

import { desk } from "./desk.js";
import { make, named, showName } from "./dom.js";
import { paintThumbnail } from "./pictures.js";
import { makeSheet } from "./sheet.js";
import { strengthText } from "./strongest.js";
import { NAMES, SIGNS, number, rankOf } from "./verdicts.js";

const LOST = { absent: "", unread: "no preview" };
const LOST_BELOW = { absent: "", unread: "" }; // where a heatmap lies over it
const isHarmless = (remark) => remark.startsWith("the transparency"); // nothing of the picture is missing
const drawn = new WeakMap(); // button → what it was built for

/** A tile for an item; it shows nothing yet. */
export function makeTile(item) {
  const tile = make("li", {}, make("button", { type: "button", className: "tile", tabIndex: -1 }));
  tile.dataset.id = item.id;
  return tile;
}

/** Bring a tile's texts, and its pictures where they have come since, up to date. */
export function showItem(tile, item) {
  const button = tile.firstElementChild;
  const content = desk.models.flatMap((model) => [model, contentOf(desk.result(item, model))]);
  if (!isSame(content, drawn.get(button))) {
    drawn.set(button, content);
    build(button, item);
  }
  button.dataset.verdict = desk.verdict(item);
  for (const part of button.querySelectorAll(".judgement")) showJudgement(part, item, part.dataset.model);
}

/** What a person said of an item, to follow what a model says. */
export function corrected(verdict, correction) {
  if (!correction) return "";
  return correction === verdict ? ", confirmed" : `, corrected to ${correction}`;
}

const contentOf = (result) => result?.problem ?? result?.heatmap ?? null;
const isSame = (one, other) => one.length === other?.length && one.every((each, i) => each === other[i]);

function build(button, item) {
  const isComparing = desk.models.length > 1;
  button.classList.toggle("compared", isComparing);
  const label = make("span", { className: "label" }, item.label ? `labelled ${item.label}` : "");
  const parts = isComparing ? columnsOf(item) : singleOf(item, desk.models[0]);
  button.replaceChildren(named("span", item.name), ...parts, label);
}

function singleOf(item, model) {
  const result = desk.result(item);
  const trio = make("span", { className: "trio" });
  if (result?.problem) trio.append(make("span", { className: "why" }, result.problem));
  else trio.append(pane(item, result, "image", ["original"]), ...panesOf(item, result));
  return [trio, judgement(model)];
}

function panesOf(item, result) {
  if (!result?.heatmap) return [];
  const closest = result.reconstruction ? [pane(item, result, "closest normal", ["reconstruction"])] : [];
  return [...closest, pane(item, result, "heatmap", ["original", "heatmap"])];
}

// One column for each model, after that of the image itself.
function columnsOf(item) {
  const columns = desk.models.map((model) => {
    const result = desk.result(item, model);
    const shown = result?.problem
      ? make("span", { className: "pane" }, make("span", { className: "why" }, result.problem))
      : pane(item, result, result?.heatmap ? "heatmap" : "", ["original", ...(result?.heatmap ? ["heatmap"] : [])]);
    return make("span", { className: "column" }, named("span", model), shown, judgement(model));
  });
  const image = pane(item, null, "image", ["original"]);
  return [make("span", { className: "columns" }, make("span", { className: "column" }, image), ...columns)];
}

function judgement(model) {
  const part = make("span", { className: "judgement" });
  part.dataset.model = model;
  part.append(...["verdict", "score", "rank"].map((className) => make("span", { className })));
  return part;
}

function showJudgement(part, item, model) {
  const verdict = desk.verdict(item, model);
  const { answer, correction, numCalibration } = desk.result(item, model) ?? {};
  part.dataset.verdict = verdict;
  (part.closest(".column") ?? part).dataset.verdict = verdict;
  const texts = [`${SIGNS[verdict]} ${NAMES[verdict]}${corrected(verdict, correction)}`];
  if (answer) {
    const rank = answer.warning ? "of another size or shape" : rankOf(answer.p_value, numCalibration);
    const part = answer.remarks.every(isHarmless) ? "" : "not all of the file was looked at; ";
    texts.push(`score ${number(answer.score)}`, part + rank);
  }
  [...part.children].forEach((target, i) => showName(target, texts[i] ?? ""));
}

function pane(item, result, caption, kinds) {
  const lost = kinds.includes("heatmap") ? LOST_BELOW : LOST;
  const sheet = makeSheet({ item, result, kinds, paint: paintThumbnail, lost });
  const words = make("span", { className: "caption" }, caption);
  if (kinds.includes("heatmap")) words.append(...strengthText(result));
  return make("span", { className: "pane" }, make("span", { className: "stack" }, sheet), words);
}
