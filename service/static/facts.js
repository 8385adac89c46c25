// What was found in one image, in words: rows [name, [a value for each model]].

import { desk } from "./desk.js";
import { times } from "./strongest.js";
import { number, percent, rankOf } from "./verdicts.js";

/** What each model found. */
export function factsOf(item, models) {
  const results = models.map((model) => desk.result(item, model));
  const row = (name, value) => [name, results.map(value)];
  return [
    row("score", ({ answer }) => number(answer.score)),
    row("among normal images", ({ answer, numCalibration }) => rankOf(answer.p_value, numCalibration)),
    row("p-value", ({ answer }) => number(answer.p_value)),
    row("false-alarm rate", () => percent(desk.alpha)),
    row("strongest place", ({ answer }) => placeOf(answer.strongest)),
    row("model", ({ answer }) => `${answer.model}, version ${answer.version}`),
    ...(results.some(({ answer }) => answer.warning) ? [row("warning", ({ answer }) => answer.warning ?? "–")] : []),
    ...results[0].answer.remarks.map((remark) => row("file", () => remark)),
    ...(item.label ? [row("labelled", () => item.label)] : []),
  ];
}

/** Each term on its own scale, and how far it is out, of each model that has it. */
export function termsOf(item, models) {
  const answers = models.map((model) => desk.result(item, model).answer);
  const names = new Set(answers.flatMap(({ terms }) => Object.keys(terms)));
  return [...names].map((name) => [name.replaceAll("_", " "), answers.map((answer) => termOf(answer, name))]);
}

/** Of an image that a model calls normal: the term that is furthest out, in a sentence; [] where none is. */
export function contradictionOf(item, model) {
  if (desk.verdict(item, model) !== "normal") return [];
  const { standardised, outlying } = desk.result(item, model).answer;
  const [name, value] = Object.entries(standardised).reduce((a, b) => (b[1] > a[1] ? b : a), ["", 0]);
  if (value <= outlying) return [];
  return [
    `${name.replaceAll("_", " ")} alone is ${number(value)} standard deviations above normal images, ` +
      "though the score is ordinary.",
  ];
}

const placeOf = (place) => (place ? `${times(place)} a normal image's, at ${place.x}, ${place.y}` : "–");

function termOf({ terms, standardised }, name) {
  if (!(name in terms)) return "–";
  const out = standardised[name];
  const where = out < 0 ? "below" : "above";
  return `${number(terms[name])}, ${number(Math.abs(out))} standard deviations ${where} normal images`;
}
