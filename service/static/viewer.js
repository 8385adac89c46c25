// One image, large: original, closest normal and heatmap of each model side by side; what was found; corrections.

import { correctionButtons } from "./corrections.js";
import { desk } from "./desk.js";
import { find, make, makeRow, named, showName } from "./dom.js";
import { factsOf, termsOf, contradictionOf } from "./facts.js";
import { paintWhole } from "./pictures.js";
import { makeSheet } from "./sheet.js";
import { strengthText } from "./strongest.js";
import { corrected } from "./tile.js";
import { NAMES, SIGNS } from "./verdicts.js";
import { connectZoom, setPaneShape, showWhole, zoomed } from "./zoom.js";

const LOST = { absent: "Not there yet.", unread: "This browser cannot show the file." };

let items = [];
let index = 0;

/** Connect the dialog; `onClosed(item)` is told which image was looked at last. */
export function connectViewer(onClosed) {
  const viewer = find("viewer");
  connectZoom();
  find("viewer-close").addEventListener("click", () => viewer.close());
  find("viewer-previous").addEventListener("click", () => turn(-1));
  find("viewer-next").addEventListener("click", () => turn(1));
  viewer.addEventListener("close", () => {
    find("viewer-panes").replaceChildren(); // a large picture takes much memory
    onClosed(items[index]);
  });
  viewer.addEventListener("keydown", ({ key, target }) => {
    if (target.type === "range" || target.closest(".pane")) return;
    if (key === "ArrowLeft") turn(-1);
    if (key === "ArrowRight") turn(1);
  });
  desk.addEventListener("change", ({ detail }) => viewer.open && detail === items[index] && refresh(detail));
}

/** Show one of these items; the others can be turned to. */
export function openViewer(at, among) {
  [index, items] = [at, among];
  show();
  find("viewer").showModal();
}

function turn(step) {
  if (!items[index + step]) return;
  index += step;
  show();
}

const numAnswers = (item) => desk.models.filter((model) => desk.result(item, model)?.answer).length;
let numShown = 0; // answers

function show() {
  const item = items[index];
  numShown = numAnswers(item);
  showName(find("viewer-name"), item.name);
  find("viewer-place").textContent = `${index + 1} of ${items.length}`;
  find("viewer-previous").ariaDisabled = String(index === 0); // a button that is disabled would lose the keys
  find("viewer-next").ariaDisabled = String(index === items.length - 1);
  find("viewer-panes").replaceChildren(...panesOf(item));
  const { size } = desk.models.map((model) => desk.result(item, model)).find((result) => result?.size) ?? {};
  if (size) setPaneShape(size);
  showWhole();
  describe(item);
  offerCorrection(item);
}

// The image once; then, without the closest normal where a model can make none, those of each model.
function panesOf(item) {
  const [first] = desk.models;
  const panes = [pane(item, first, "Image", ["original", "region"])];
  for (const model of desk.models) {
    const result = desk.result(item, model);
    const whose = desk.models.length > 1 ? `, ${model}` : "";
    if (result?.reconstruction) panes.push(pane(item, model, `Closest normal${whose}`, ["reconstruction"]));
    if (result?.heatmap) panes.push(pane(item, model, `Heatmap${whose}`, ["original", "heatmap", "region"]));
    else if (model === first) panes.push(pane(item, model, "Heatmap", ["heatmap"]));
  }
  return panes;
}

// An answer has come, or a correction.
function refresh(item) {
  if (numAnswers(item) !== numShown) show();
  else describe(item);
}

function describe(item) {
  const answered = desk.models.filter((model) => desk.result(item, model)?.answer);
  for (const figure of find("viewer-panes").children) figure.dataset.verdict = desk.verdict(item, figure.dataset.model);
  find("viewer-verdict").replaceChildren(...desk.models.map((model) => verdictLine(item, model)));
  find("viewer-contradiction").replaceChildren(...answered.flatMap((model) => contradictionOf(item, model)));
  fill(find("viewer-facts"), factsOf(item, answered), answered);
  fill(find("viewer-terms"), termsOf(item, answered), answered);
}

function verdictLine(item, model) {
  const verdict = desk.verdict(item, model);
  const { problem, correction } = desk.result(item, model) ?? {};
  const says = make("span", {}, `${SIGNS[verdict]} ${problem ?? NAMES[verdict] + corrected(verdict, correction)}`);
  const line = make("span", { className: "verdict" }, ...(desk.models.length > 1 ? [named("span", model)] : []), says);
  line.dataset.verdict = verdict;
  return line;
}

// One row for each fact, one column for each model.
function fill(table, rows, models) {
  const head = models.length > 1 ? [make("tr", {}, make("td"), ...models.map((model) => named("th", model)))] : [];
  table.replaceChildren(...head, ...rows.map(([name, values]) => makeRow(name, values)));
}

// What a person says is said of the image, so of what each model said of it.
function offerCorrection(item) {
  const kept = desk.models.filter((model) => desk.result(item, model)?.answer?.history_id);
  const ids = kept.map((model) => desk.result(item, model).answer.history_id);
  const remember = (correction) => kept.forEach((model) => desk.update(item, model, { correction }));
  const current = kept.length ? desk.result(item, kept[0]).correction : null;
  find("viewer-correction").replaceChildren(...(ids.length ? correctionButtons(ids, current, remember) : []));
}

function pane(item, model, caption, kinds) {
  const result = desk.result(item, model);
  const sheet = makeSheet({ item, result, kinds, paint, label: caption, lost: LOST });
  const words = make("figcaption", { dir: "auto" }, caption);
  if (kinds.includes("heatmap") && result?.heatmap) words.append(...strengthText(result));
  const figure = make("figure", {}, zoomed(sheet, caption), words);
  figure.dataset.model = model;
  return figure;
}

async function paint(canvas, picture) {
  const size = await paintWhole(canvas, picture);
  if (size && canvas.isConnected) setPaneShape(size);
  return size;
}
