// Each image to `POST /score?heatmap=true`, a few at once; the answers come back to the desk.

import { ask, withQuery } from "./api.js";
import { desk } from "./desk.js";
import { find } from "./dom.js";
import { chosenModel, numCalibrationOf, regionOf } from "./models.js";
import { Queue } from "./queue.js";

const queue = new Queue({
  work: score,
  fail: (item, problem) => desk.update(item, { problem: problem.message }),
  report: (text) => (find("trouble").textContent = text),
});

/** Score these items, now or when the server can. */
export function scoreAll(items) {
  for (const item of items) {
    const pictures = { heatmap: null, reconstruction: null, region: null };
    desk.update(item, { answer: null, problem: null, correction: null, ...pictures });
  }
  queue.add(items);
}

/** Score nothing more. */
export const stopScoring = () => queue.clear();

async function score(item, signal) {
  const body = new FormData();
  body.append("file", item.file, item.file.name);
  const query = { model: chosenModel(), alpha: desk.alpha, heatmap: true };
  const answer = await ask(withQuery("score", query), { method: "POST", body, signal });
  const { heatmap, reconstruction, ...found } = answer;
  const numCalibration = await numCalibrationOf(answer.model, answer.version);
  const region = await regionOf(answer.model, answer.version, answer.digest);
  const pictures = {
    heatmap: png(heatmap),
    reconstruction: reconstruction && png(reconstruction), // null where the model has no G
    region: region && png(region),
  };
  desk.update(item, { answer: found, numCalibration, size: sizeOf(heatmap), ...pictures });
}

const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const png = (base64) => new Blob([bytesOf(base64)], { type: "image/png" });

// Width and height: a PNG file has them at byte 16 and 20, big-endian.
const sizeOf = (base64) => [16, 20].map((at) => new DataView(bytesOf(base64).buffer).getUint32(at));
