// The decision: a slider for the false-alarm rate, and how many images each model calls what.

import { desk } from "./desk.js";
import { find, make, named, oncePerFrame, say } from "./dom.js";
import { NAMES, SIGNS, STEPS, alphaAt, count, counted, percent, positionOf, shortageOf } from "./verdicts.js";

/** Connect the slider and the counts. */
export function connectDecision() {
  const slider = find("alpha");
  Object.assign(slider, { min: 0, max: STEPS, step: 1, value: positionOf(desk.alpha) });
  slider.addEventListener("input", () => desk.look({ alpha: alphaAt(slider.valueAsNumber), isAlphaChosen: true }));
  desk.addEventListener("change", oncePerFrame(show));
  show();
}

function show() {
  for (const [kind, num] of Object.entries(countsOf(desk.models[0]))) find(`num-${kind}`).textContent = num;
  if (alphaAt(find("alpha").valueAsNumber) !== desk.alpha) find("alpha").value = positionOf(desk.alpha);
  find("alpha").ariaValueText = percent(desk.alpha);
  find("alpha-value").textContent = percent(desk.alpha);
  find("alpha-meaning").textContent =
    `An image is called anomalous if hardly any normal image scores as high: of normal images, at most ` +
    `${percent(desk.alpha)} are called so, on average over models. One model may call more or fewer so: ` +
    "the fewer images have calibrated it, the further off it may be.";
  const [piece] = desk.pieces("none");
  say("alpha-shortage", piece ? whyNone(...piece) : "");
  say("outdated", outdatedText());
  showOthers();
}

function outdatedText() {
  const num = desk.outdated().length;
  if (!num) return "";
  const results = counted(num, "result here is", "results here are");
  return `${results} of another version of the model than the latest. Scores of two versions cannot be compared.`;
}

function whyNone(item, model) {
  const whose = desk.models.length > 1 ? model : undefined;
  return shortageOf(desk.alpha, desk.result(item, model).numCalibration, whose);
}

function showOthers() {
  const isComparing = desk.models.length > 1;
  find("others").hidden = !isComparing;
  if (!isComparing) return;
  find("counted").textContent = desk.models[0];
  find("others-counts").replaceChildren(...desk.models.slice(1).map(lineOf));
  find("num-disputed").textContent = disputedText();
}

function disputedText() {
  const disputed = desk.items.filter((item) => desk.isDisputed(item)).length;
  const judged = desk.items.filter((item) => desk.isJudged(item)).length;
  const missing = desk.items.length - judged;
  const agreed = missing ? `The models agree on ${count(judged)} images.` : "The models agree on all images.";
  const differ = `The models say different things of ${count(disputed)} of ${count(desk.items.length)} images.`;
  const left = `${count(missing)} of ${count(desk.items.length)} images are not scored by all models yet.`;
  return [disputed ? differ : judged ? agreed : "", missing ? left : ""].filter(Boolean).join(" ");
}

function lineOf(model) {
  const counts = countsOf(model);
  const kinds = ["anomalous", "normal"].map((kind) => `${SIGNS[kind]} ${count(counts[kind])} ${NAMES[kind]}`);
  const text = [...kinds, `${count(counts.other)} other`].join(" · ");
  return make("li", {}, named("span", model), make("span", {}, text));
}

function countsOf(model) {
  const counts = { anomalous: 0, normal: 0, other: 0 };
  for (const item of desk.items) {
    const verdict = desk.verdict(item, model);
    counts[verdict in counts ? verdict : "other"] += 1;
  }
  return counts;
}
