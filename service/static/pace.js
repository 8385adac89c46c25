// How fast work goes, by when its latest pieces were done.

const NUM_LATEST = 50;
const NUM_ENOUGH = 5; // pieces, before anything can be told

export class Pace {
  #moments = []; // ms

  /** Work begins now. */
  begin() {
    this.#moments = [performance.now()];
  }

  /** One more piece is done. */
  note() {
    this.#moments.push(performance.now());
    if (this.#moments.length > NUM_LATEST) this.#moments.shift();
  }

  /** Seconds for so many pieces more; null while nobody can tell. */
  secondsFor(numPieces) {
    const numDone = this.#moments.length - 1;
    if (numDone < NUM_ENOUGH) return null;
    return (numPieces * (performance.now() - this.#moments[0])) / numDone / 1000;
  }
}

/** A duration for people, in words. */
export function inWords(seconds) {
  if (seconds < 10) return "a few seconds";
  if (seconds < 90) return `about ${10 * Math.round(seconds / 10)} seconds`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `about ${minutes} minutes` : `about ${Math.round(minutes / 60)} hours`;
}

/** Why there is a wait, with what follows of it: read aloud once, while the seconds count down beside it, silently. */
export const waitTexts = (problem, seconds) =>
  problem
    ? { why: `${problem.message} Trying again`, wait: seconds ? ` in ${seconds} s.` : " …" }
    : { why: "", wait: "" };
