// So many pieces of work at once; the others wait for their turn.

export class Turns {
  #waiting = [];
  #numFree;

  constructor(numAtOnce) {
    this.#numFree = numAtOnce;
  }

  /** What `work` resolves to, begun when it is its turn. */
  async take(work) {
    if (this.#numFree > 0) this.#numFree -= 1;
    else await new Promise((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#numFree += 1;
    }
  }
}
