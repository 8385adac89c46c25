// Each image to `POST /score?heatmap=true` for each model that judges, a few at once; the answers come to the desk.

import { desk } from "./desk.js";
import { find, say } from "./dom.js";
import { scoreFile } from "./form.js";
import { numCalibrationOf, preprocessOf } from "./models.js";
import { Pace, waitTexts } from "./pace.js";
import { mapOf, png } from "./png.js";
import { Queue } from "./queue.js";

const pace = new Pace();
const queue = new Queue({
  work: score,
  fail: ([item, model], problem) => {
    pace.note();
    desk.update(item, model, { problem: problem.message });
  },
  report: (problem, seconds) => tellTrouble(waitTexts(problem, seconds)),
});

/** Say why nothing is scored now, "" if it is; `wait` is what changes each second. */
export function tellTrouble({ why, wait = "" }) {
  say("trouble-why", why);
  find("trouble-wait").textContent = wait;
}

/** Score these [item, model], now or when the server can. */
export function scoreAll(pieces) {
  if (!desk.pieces("waiting").length) pace.begin();
  desk.await(pieces);
  queue.add(pieces);
}

/** Score nothing more; returns the [item, model] that waited. */
export function stopScoring() {
  queue.clear();
  return desk.giveUp();
}

/** Seconds that so many pieces will take at the present pace; null while nobody can tell. */
export const secondsFor = (numPieces) => pace.secondsFor(numPieces);

async function score([item, model], signal) {
  const sent = await scoreFile(item.file, item.name, { model, alpha: desk.alpha, heatmap: true }, signal);
  const { heatmap, reconstruction, ...answer } = sent;
  const numCalibration = await numCalibrationOf(answer.model, answer.version);
  const preprocess = await preprocessOf(answer.model, answer.version, answer.digest);
  const { file, size } = await mapOf(heatmap);
  if (signal.aborted) return;
  pace.note();
  desk.update(item, model, {
    ...{ answer, numCalibration, preprocess, size },
    ...{ heatmap: file, reconstruction: reconstruction && png(reconstruction), region: preprocess?.region ?? null },
  });
}
