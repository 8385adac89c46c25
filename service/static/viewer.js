// One image, large: original, closest normal and heatmap side by side, with zoom; what was found; corrections.

import { correctionButtons } from "./corrections.js";
import { desk } from "./desk.js";
import { find, list, make } from "./dom.js";
import { paintWhole } from "./pictures.js";
import { strengthText, strongestBox, times } from "./strongest.js";
import { corrected } from "./tile.js";
import { NAMES, SIGNS, number } from "./verdicts.js";

const PANES = [
  ["Image", ["original", "region"]],
  ["Closest normal", ["reconstruction"]],
  ["Heatmap", ["original", "heatmap", "region"]],
];

const OUTLYING = 6; // standard deviations, as in the reports

let items = [];
let index = 0;

/** Connect the dialog; `onClosed(item)` is told which image was looked at last. */
export function connectViewer(onClosed) {
  const viewer = find("viewer");
  find("viewer-close").addEventListener("click", () => viewer.close());
  find("viewer-previous").addEventListener("click", () => turn(-1));
  find("viewer-next").addEventListener("click", () => turn(1));
  viewer.addEventListener("close", () => onClosed(items[index]));
  viewer.addEventListener("keydown", ({ key, target }) => {
    if (target.type === "range" || target.closest(".pane")) return;
    if (key === "ArrowLeft") turn(-1);
    if (key === "ArrowRight") turn(1);
  });
  find("zoom").addEventListener("input", zoom);
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

function show() {
  const item = items[index];
  find("viewer-name").textContent = item.name;
  find("viewer-place").textContent = `${index + 1} of ${items.length}`;
  find("viewer-previous").ariaDisabled = String(index === 0); // a button that is disabled would lose the keys
  find("viewer-next").ariaDisabled = String(index === items.length - 1);
  find("viewer-panes").replaceChildren(...panesOf(item));
  find("zoom").value = 1;
  zoom();
  describe(item);
  offerCorrection(item);
}

// Without the closest normal where the model can make none.
function panesOf(item) {
  const shown = PANES.filter(([, [kind]]) => kind !== "reconstruction" || item.reconstruction || !item.heatmap);
  return shown.map(([caption, kinds]) => pane(item, caption, kinds));
}

// Its answer has come, or its correction.
function refresh(item) {
  if (item.answer && !find("viewer-facts").childElementCount) show();
  else describe(item);
}

function describe(item) {
  const verdict = desk.verdict(item);
  const { answer } = item;
  find("viewer").dataset.verdict = verdict;
  find("viewer-verdict").textContent = `${SIGNS[verdict]} ${item.problem ?? NAMES[verdict] + corrected(item)}`;
  list(find("viewer-facts"), answer ? factsOf(item) : []);
  list(find("viewer-terms"), answer ? termsOf(answer) : []);
  find("viewer-contradiction").textContent = verdict === "normal" ? contradictionOf(answer) : "";
}

function offerCorrection(item) {
  const id = item.answer?.history_id;
  const remember = (correction) => desk.update(item, { correction });
  find("viewer-correction").replaceChildren(...(id ? correctionButtons(id, item.correction, remember) : []));
}

const sign = (value) => (value < 0 ? "−" : "+") + number(Math.abs(value));

// Each term on its own scale, and in standard deviations above normal images.
const termsOf = ({ terms, standardised }) =>
  Object.entries(terms).map(([name, value]) => [name, `${number(value)} (${sign(standardised[name])} σ)`]);

// The term that is furthest out, of an image that is not called anomalous.
function contradictionOf({ standardised }) {
  const [name, value] = Object.entries(standardised).reduce((a, b) => (b[1] > a[1] ? b : a), ["", 0]);
  if (value <= OUTLYING) return "";
  return `${name} alone is ${number(value)} standard deviations above normal images, though the score is ordinary.`;
}

function factsOf({ answer, label, numCalibration }) {
  return [
    ["score", number(answer.score)],
    ["p-value", number(answer.p_value)],
    ["false-alarm rate", number(desk.alpha)],
    ["compared with", numCalibration === null ? "–" : `${numCalibration} normal images`],
    ["strongest place", placeOf(answer.strongest)],
    ["model", `${answer.model}, version ${answer.version}`],
    ["labelled", label ?? "–"],
  ];
}

const placeOf = (place) => (place ? `${times(place)} a normal image's, at ${place.x}, ${place.y}` : "–");

function pane(item, caption, kinds) {
  const stack = make("div", { className: "stack" });
  for (const kind of kinds.filter((each) => each !== "region" || item.region)) {
    const canvas = make("canvas", { className: kind, role: "img", ariaLabel: caption });
    stack.append(canvas);
    paintWhole(canvas, item, kind).then((isThere) => isThere || canvas.replaceWith(missing(kind)));
  }
  const words = make("figcaption", {}, caption);
  if (item.heatmap && kinds.includes("heatmap")) {
    stack.append(...strongestBox(item));
    words.append(...strengthText(item));
  }
  const frame = make("div", { className: "pane", tabIndex: 0, role: "group", ariaLabel: caption }, stack);
  frame.addEventListener("scroll", () => scrollTogether(frame));
  return make("figure", {}, frame, words);
}

const missing = (kind) =>
  make("p", { className: "why" }, kind === "original" ? "This browser cannot show the file." : "Not there yet.");

function zoom() {
  const factor = find("zoom").value;
  find("viewer-panes").style.setProperty("--zoom", factor);
  document.querySelector("output[for=zoom]").textContent = `${factor} ×`;
}

function scrollTogether(frame) {
  for (const other of find("viewer-panes").querySelectorAll(".pane")) {
    if (other !== frame) other.scrollTo(frame.scrollLeft, frame.scrollTop);
  }
}
