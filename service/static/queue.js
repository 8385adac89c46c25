// Work in order, a few pieces at once. Where the server is busy or out of reach, all of it waits, and then goes on.

import { ask } from "./api.js";

const MAX_TRIES = 8;
const SILENT_TRIES = 4; // that one counts as which had no answer: it took long, and the image may be scored each time
const MAX_WAIT_S = 30;

export class Queue {
  /**
   * `work(item, signal)` does one piece, `fail(item, problem)` is told why one failed, `report(problem, seconds)` why
   * all wait and for how long, with null once one of them got through.
   */
  constructor({ work, fail, report, atOnce = 4 }) {
    Object.assign(this, { work, fail, report, atOnce });
    this.waiting = [];
    this.numRunning = 0;
    this.hold = null;
    this.isHeldUp = false;
    this.leaving = new AbortController();
  }

  /** Take pieces up, after those that wait. */
  add(items) {
    this.waiting.push(...items.map((item) => ({ item, tries: 0 })));
    for (let i = 0; i < items.length && this.numRunning < this.atOnce; i += 1) this.#run();
  }

  /** Forget all pieces, those that are on their way too. */
  clear() {
    this.waiting = [];
    this.leaving.abort();
    this.leaving = new AbortController();
    this.#goOn();
  }

  async #run() {
    this.numRunning += 1;
    while (this.waiting.length) {
      await this.hold;
      const piece = this.waiting.shift();
      if (piece) await this.#try(piece, this.leaving.signal);
    }
    this.numRunning -= 1;
  }

  async #try(piece, signal) {
    try {
      await this.work(piece.item, signal);
      if (!this.hold) this.#goOn();
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.isSilent) piece.tries += SILENT_TRIES;
      else if (problem.isPassing && !problem.isTooOften) piece.tries += 1;
      if ((problem.isOffline || problem.isPassing) && piece.tries < MAX_TRIES) {
        this.waiting.unshift(piece);
        this.hold ??= this.#wait(problem, piece.tries, signal).finally(() => (this.hold = null));
      } else {
        this.fail(piece.item, problem);
        if (!this.hold) this.#goOn();
      }
    }
  }

  async #wait(problem, tries, signal) {
    if (problem.isOffline) await this.#untilReachable(problem, signal);
    else await this.#countDown(problem, Math.max(problem.waitS, backoffS(tries)), signal);
  }

  #goOn() {
    if (this.isHeldUp) this.report(null, 0);
    this.isHeldUp = false;
  }

  async #untilReachable(problem, signal) {
    for (let tries = 1; !signal.aborted; tries += 1) {
      await this.#countDown(problem, backoffS(tries), signal);
      try {
        return await ask("healthz");
      } catch (error) {
        if (!error.isOffline) return null;
      }
    }
    return null;
  }

  async #countDown(problem, seconds, signal) {
    for (let left = Math.ceil(seconds); left > 0 && !signal.aborted; left -= 1) {
      this.isHeldUp = true;
      this.report(problem, left);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    if (!signal.aborted) this.report(problem, 0);
  }
}

const backoffS = (tries) => Math.min(MAX_WAIT_S, 2 ** (tries - 1));
