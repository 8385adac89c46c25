// What lies on the desk: the images of this tab, and how they are looked at. Views listen for
// "change", whose detail is the item, if only one has changed.
//
// An item: { id, name, file, label, results }; `label` is "normal", "anomalous" or null. `results` has by a model's
// name what it says of the image. A result: { answer, numCalibration, problem, size, heatmap, reconstruction,
// preprocess, region, correction, isExported }; `answer` is the server's, null before; `heatmap`, `reconstruction` and
// `region` are PNG files (Blob), the last two null where the model has none; `size` is the picture's [width, height];
// `correction` is "normal", "anomalous" or null; `isExported` tells whether it was written to a file.

import { verdictOf } from "./verdicts.js";

const EMPTY = Object.freeze({
  ...{ answer: null, numCalibration: null, problem: null, correction: null, isExported: false },
  ...{ size: null, heatmap: null, reconstruction: null, preprocess: null, region: null },
});

class Desk extends EventTarget {
  items = [];
  models = []; // the names of those that judge, side by side; sorting, filters and counts follow the first
  alpha = 0.05;
  isAlphaChosen = false; // by the person
  show = "all";
  sort = "highest";
  minScore = -Infinity;
  maxScore = Infinity;
  #nextId = 1;
  #digests = new Map(); // model → that of its last answer

  /** Put files on the desk; returns their items. */
  add(entries) {
    const items = entries.map((entry) => ({ ...entry, id: this.#nextId++, results: new Map() }));
    this.items = [...this.items, ...items];
    this.#tell();
    return items;
  }

  /** Put items back before all others. */
  restore(items) {
    this.items = [...items, ...this.items];
    this.#tell();
  }

  /** Let these [item, model] wait for an answer. */
  await(pieces) {
    for (const [item, model] of pieces) item.results.set(model, { ...EMPTY });
    this.#tell();
  }

  /** Wait no longer; returns the [item, model] that did. */
  giveUp() {
    const pieces = this.pieces("waiting");
    for (const [item, model] of pieces) item.results.delete(model);
    this.#tell();
    return pieces;
  }

  /** Change what a model says of an item. */
  update(item, model, changes) {
    Object.assign(item.results.get(model), changes);
    if (changes.answer) this.#digests.set(model, changes.answer.digest);
    this.#tell(item);
  }

  /** Change how the items are looked at. */
  look(changes) {
    Object.assign(this, changes);
    this.#tell();
  }

  clear() {
    this.items = [];
    this.#tell();
  }

  /** What a model, if not told the first, says of an item; undefined before it was asked. */
  result(item, model = this.models[0]) {
    return item.results.get(model);
  }

  verdict(item, model = this.models[0]) {
    return verdictOf(item.results.get(model), this.alpha);
  }

  /** The items of which something is nowhere but here: neither in the server's history nor written to a file. */
  unsaved() {
    const isSaved = ({ answer, isExported }) => isExported || Boolean(answer?.history_id);
    return this.items.filter(({ results }) => !results.size || ![...results.values()].every(isSaved));
  }

  /** These items are written to a file, with what the models that judge have said of them until now. */
  noteExport(items) {
    const results = items.flatMap((item) => this.models.map((model) => this.result(item, model)));
    for (const result of results) if (result?.answer || result?.problem) result.isExported = true;
  }

  /** The [item, model] of these verdicts, of the models that judge. */
  pieces(...verdicts) {
    const all = this.items.flatMap((item) => this.models.map((model) => [item, model]));
    return all.filter(([item, model]) => verdicts.includes(this.verdict(item, model)));
  }

  /** Whether the models that have judged an item say different things of it. */
  isDisputed(item) {
    return new Set(this.#said(item).map(kindOf)).size > 1;
  }

  /** Whether all models have judged an item. */
  isJudged(item) {
    return this.#said(item).length === this.models.length;
  }

  /** The [item, model] that another version of the model has scored than the one that answered last. */
  outdated() {
    const isOld = ([item, model]) => {
      const digest = this.result(item, model)?.answer?.digest;
      return digest !== undefined && digest !== this.#digests.get(model);
    };
    return this.items.flatMap((item) => this.models.map((model) => [item, model])).filter(isOld);
  }

  /** The items to show, in order. */
  arranged() {
    const order = ORDERS[this.sort];
    return this.items.filter((item) => this.#isShown(item)).sort((a, b) => order(a, b, this) || a.id - b.id);
  }

  #isShown(item) {
    if (this.show === "disputed" && !this.isDisputed(item)) return false;
    if (!["all", "disputed", kindOf(this.verdict(item))].includes(this.show)) return false;
    if (this.minScore === -Infinity && this.maxScore === Infinity) return true;
    const { answer } = this.result(item) ?? EMPTY;
    return answer !== null && answer.score >= this.minScore && answer.score <= this.maxScore;
  }

  #said(item) {
    const verdicts = this.models.map((model) => this.verdict(item, model));
    return verdicts.filter((verdict) => verdict !== "waiting" && verdict !== "unscored");
  }

  #tell(detail = null) {
    this.dispatchEvent(new CustomEvent("change", { detail }));
  }
}

const kindOf = (verdict) => (verdict === "anomalous" || verdict === "normal" ? verdict : "other");

const byScore = (sign) => (a, b, desk) => {
  const [first, second] = [a, b].map((item) => desk.result(item)?.answer);
  return first && second ? sign * (first.score - second.score) : Boolean(second) - Boolean(first);
};

const ORDERS = {
  highest: byScore(-1),
  lowest: byScore(1),
  added: () => 0,
  name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }),
};

/** The one desk of the page. */
export const desk = new Desk();
