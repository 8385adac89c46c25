// Each image to `POST /score?heatmap=true`, a few at once; the answers come back to the desk.

import { ask, withQuery } from "./api.js";
import { desk } from "./desk.js";
import { find } from "./dom.js";
import { chosenModel, numCalibrationOf } from "./models.js";
import { Queue } from "./queue.js";

const queue = new Queue({
  work: score,
  fail: (item, problem) => desk.update(item, { problem: problem.message }),
  report: (text) => (find("trouble").textContent = text),
});

/** Score these items, now or when the server can. */
export function scoreAll(items) {
  for (const item of items) {
    desk.update(item, { answer: null, problem: null, heatmap: null, reconstruction: null, correction: null });
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
  const [heat, drawn] = [bytesOf(heatmap), bytesOf(reconstruction)];
  const size = sizeOf(heat);
  desk.update(item, { answer: found, numCalibration, size, heatmap: png(heat), reconstruction: png(drawn) });
}

const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const png = (bytes) => new Blob([bytes], { type: "image/png" });

// Width and height: a PNG file has them at byte 16 and 20, big-endian.
const sizeOf = ({ buffer }) => [16, 20].map((at) => new DataView(buffer).getUint32(at));
