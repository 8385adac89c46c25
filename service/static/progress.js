// How far the scoring is, what it will take still, and how it is stopped, taken up again and repeated.

import { desk } from "./desk.js";
import { find, focusSoon, oncePerFrame } from "./dom.js";
import { inWords } from "./pace.js";
import { scoreAll, secondsFor, stopScoring } from "./scoring.js";
import { count } from "./verdicts.js";

/** Connect the line of progress and its buttons. */
export function connectProgress() {
  desk.addEventListener("change", oncePerFrame(show));
  find("stop").addEventListener("click", () => {
    stopScoring();
    focusSoon("again");
  });
  find("again").addEventListener("click", () => {
    const left = desk.pieces("unscored", "failed");
    scoreAll(left.length ? left : desk.outdated());
  });
}

function show() {
  const [waiting, unscored, failed] = ["waiting", "unscored", "failed"].map((each) => desk.pieces(each).length);
  const total = desk.items.length * desk.models.length - unscored;
  find("progress").hidden = !waiting;
  find("progress-text").textContent = `Scored ${count(total - waiting)} of ${count(total)} …`;
  const seconds = secondsFor(waiting);
  find("time-left").textContent = seconds === null ? "" : `${inWords(seconds)} left`;
  Object.assign(find("progress-bar"), { max: Math.max(1, total), value: total - waiting });
  const outdated = desk.outdated().length;
  find("again").hidden = !(failed || unscored || outdated) || waiting > 0;
  find("again").textContent = failed || unscored ? invitation(unscored, failed) : `Score ${count(outdated)} anew`;
}

function invitation(unscored, failed) {
  if (!unscored) return `Try ${count(failed)} again`;
  if (unscored + failed < desk.items.length) return `Score the ${count(unscored + failed)} that are left`;
  const [model] = desk.models.filter((each) => desk.items.some((item) => desk.verdict(item, each) === "unscored"));
  return `Score all with ${model}`;
}
