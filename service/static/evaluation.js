// The labelled images against their labels, live: ROC, area and confusion counts. A correction counts as a label.

import { drawRoc } from "./charts.js";
import { desk } from "./desk.js";
import { find, oncePerFrame } from "./dom.js";
import { confusionOf, rocOf } from "./roc.js";
import { number } from "./verdicts.js";

const CELLS = {
  "true-positive": "truePositive",
  "false-negative": "falseNegative",
  "false-positive": "falsePositive",
  "true-negative": "trueNegative",
};

const labelOf = (item) => item.correction ?? item.label;

/** Connect the panel. It shows itself once there are labelled images of both kinds. */
export function connectEvaluation() {
  desk.addEventListener("change", oncePerFrame(show));
}

function show() {
  const items = comparable(desk.items.filter((item) => item.answer && labelOf(item)));
  const scores = (label) => items.filter((item) => labelOf(item) === label).map(({ answer }) => answer.score);
  const roc = rocOf(scores("normal"), scores("anomalous"));
  find("roc").hidden = !roc;
  if (!roc) return;
  const counts = confusionOf(items, labelOf, (item) => desk.verdict(item) === "anomalous");
  for (const [id, name] of Object.entries(CELLS)) find(id).textContent = counts[name];
  const { truePositive, falseNegative, falsePositive, trueNegative } = counts;
  const here = [falsePositive / (falsePositive + trueNegative), truePositive / (truePositive + falseNegative)];
  find("roc-chart").replaceChildren(drawRoc(roc.points, here));
  find("roc-area").textContent = `AUROC ${number(100 * roc.area)} %`;
  const { model, version } = items[0].answer;
  find("roc-basis").textContent = `${items.length} labelled images, scored by ${model}, version ${version}.`;
}

// Scores of different models are on different scales: those of the model that scored last are taken.
function comparable(items) {
  const digest = items.at(-1)?.answer.digest;
  return items.filter(({ answer }) => answer.digest === digest);
}
