// The decision: a slider for the false-alarm rate, and how many images it calls what.

import { desk } from "./desk.js";
import { find, oncePerFrame } from "./dom.js";
import { STEPS, alphaAt, number, percent, positionOf, shortageOf } from "./verdicts.js";

/** Connect the slider and the counts. */
export function connectDecision() {
  const slider = find("alpha");
  Object.assign(slider, { min: 0, max: STEPS, step: 1, value: positionOf(desk.alpha) });
  slider.addEventListener("input", () => desk.look({ alpha: alphaAt(slider.valueAsNumber), isAlphaChosen: true }));
  desk.addEventListener("change", oncePerFrame(show));
  show();
}

function show() {
  const counts = { anomalous: 0, normal: 0, other: 0 };
  for (const item of desk.items) {
    const verdict = desk.verdict(item);
    counts[verdict in counts ? verdict : "other"] += 1;
  }
  for (const [kind, count] of Object.entries(counts)) find(`num-${kind}`).textContent = count;
  if (alphaAt(find("alpha").valueAsNumber) !== desk.alpha) find("alpha").value = positionOf(desk.alpha);
  find("alpha").ariaValueText = percent(desk.alpha);
  find("alpha-value").textContent = percent(desk.alpha);
  find("alpha-meaning").textContent =
    `Anomalous is what has a p-value of at most ${number(desk.alpha)}: of normal images, at most ` +
    `${percent(desk.alpha)} in the long run.`;
  const open = desk.items.find((item) => desk.verdict(item) === "open");
  find("alpha-shortage").textContent = open ? shortageOf(desk.alpha, open.numCalibration) : "";
}
