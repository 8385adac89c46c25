// What lies on the desk: the images of this tab, and how they are looked at. Views listen for
// "change", whose detail is the item, if only one has changed.
//
// An item: { id, name, file, label, answer, numCalibration, problem, size, heatmap, reconstruction, region,
// correction }. `label` and `correction` are "normal", "anomalous" or null; `answer` is the server's, null before;
// `heatmap`, `reconstruction` and `region` are PNG files (Blob), `region` null where the model has none; `size` is the
// heatmap's [width, height].

import { verdictOf } from "./verdicts.js";

class Desk extends EventTarget {
  items = [];
  alpha = 0.05;
  isAlphaChosen = false; // by the person
  show = "all";
  sort = "highest";
  minScore = -Infinity;
  maxScore = Infinity;
  #nextId = 1;

  /** Put files on the desk; returns their items. */
  add(entries) {
    const items = entries.map(({ file, name, label }) => ({
      ...{ id: this.#nextId++, name, file, label },
      ...{ answer: null, numCalibration: null, problem: null, correction: null },
      ...{ size: null, heatmap: null, reconstruction: null, region: null },
    }));
    this.items = [...this.items, ...items];
    this.#tell();
    return items;
  }

  /** Change an item. */
  update(item, changes) {
    Object.assign(item, changes);
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

  verdict(item) {
    return verdictOf(item, this.alpha);
  }

  /** The items to show, in order. */
  arranged() {
    return this.items.filter((item) => this.#isShown(item)).sort(ORDERS[this.sort]);
  }

  #isShown(item) {
    const verdict = this.verdict(item);
    const kind = verdict === "anomalous" || verdict === "normal" ? verdict : "other";
    if (this.show !== "all" && this.show !== kind) return false;
    if (this.minScore === -Infinity && this.maxScore === Infinity) return true;
    return item.answer !== null && item.answer.score >= this.minScore && item.answer.score <= this.maxScore;
  }

  #tell(detail = null) {
    this.dispatchEvent(new CustomEvent("change", { detail }));
  }
}

const byScore = (sign) => (a, b) => {
  if (!a.answer || !b.answer) return Boolean(b.answer) - Boolean(a.answer) || a.id - b.id;
  return sign * (a.answer.score - b.answer.score) || a.id - b.id;
};

const ORDERS = {
  highest: byScore(-1),
  lowest: byScore(1),
  added: (a, b) => a.id - b.id,
  name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }) || a.id - b.id,
};

/** The one desk of the page. */
export const desk = new Desk();
