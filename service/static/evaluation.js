// The labelled images against their labels, live: ROC, area and confusion counts. A correction counts as a label.

import { drawRoc } from "./charts.js";
import { desk } from "./desk.js";
import { find, oncePerFrame } from "./dom.js";
import { confusionOf, rocOf } from "./roc.js";
import { count, number } from "./verdicts.js";

const CELLS = {
  "true-positive": "truePositive",
  "false-negative": "falseNegative",
  "false-positive": "falsePositive",
  "true-negative": "trueNegative",
};

const labelOf = (item) => desk.result(item)?.correction ?? item.label;
const answerOf = (item) => desk.result(item)?.answer;

/** Connect the panel. It shows itself once there are labelled images of both kinds. */
export function connectEvaluation() {
  desk.addEventListener("change", oncePerFrame(show));
}

function show() {
  const items = comparable(desk.items.filter((item) => answerOf(item) && labelOf(item)));
  const scores = (label) => items.filter((item) => labelOf(item) === label).map((item) => answerOf(item).score);
  const roc = rocOf(scores("normal"), scores("anomalous"));
  find("roc").hidden = !roc;
  if (!roc) return;
  const counts = confusionOf(items, labelOf, (item) => desk.verdict(item) === "anomalous");
  for (const [id, name] of Object.entries(CELLS)) find(id).textContent = counts[name];
  const { truePositive, falseNegative, falsePositive, trueNegative } = counts;
  const here = [falsePositive / (falsePositive + trueNegative), truePositive / (truePositive + falseNegative)];
  find("roc-chart").replaceChildren(drawRoc(roc.points, here));
  find("roc-area").textContent = `AUROC ${number(100 * roc.area)} %`;
  find("roc-meaning").textContent =
    `Of 100 pairs of a normal and an anomalous image here, the anomalous one scores higher in ` +
    `${number(100 * roc.area)}. Of other images it may be more or fewer: the fewer these are, the less they tell.`;
  const { model, version } = answerOf(items[0]);
  find("roc-basis").textContent = `${count(items.length)} labelled images, scored by ${model}, version ${version}.`;
}

// Scores of different versions are on different scales: those of the one that scored last are taken.
function comparable(items) {
  const digest = items.length && answerOf(items.at(-1)).digest;
  return items.filter((item) => answerOf(item).digest === digest);
}
