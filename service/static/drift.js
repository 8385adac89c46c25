// Drift of the chosen model: the martingale with its alarm line, and a histogram of the p-values lately.

import { ask } from "./api.js";
import { drawHistogram, drawMartingale } from "./charts.js";
import { find } from "./dom.js";
import { chosenModel } from "./models.js";
import { number, percent } from "./verdicts.js";

/** Connect the button. */
export function connectDrift() {
  find("drift-again").addEventListener("click", showDrift);
}

/** Ask how the chosen model's process does, and draw it. */
export async function showDrift() {
  const status = find("drift-status");
  if (!chosenModel()) return;
  status.textContent = "Looking …";
  try {
    const drift = await ask(`models/${encodeURIComponent(chosenModel())}/drift`);
    status.textContent = verdictOf(drift);
    status.dataset.verdict = drift.alarm ? "anomalous" : "normal";
    find("drift-meaning").textContent =
      `While nothing changes, it crosses the line with a probability of at most ${percent(drift.rate)}, ` +
      "however long it runs.";
    find("drift-window").textContent =
      `The last ${drift.window.num.toLocaleString("en")}. A steady process fills all bins alike, to the dashed line.`;
    find("drift-martingale").replaceChildren(drawMartingale(drift.trajectory, -Math.log10(drift.rate)));
    find("drift-histogram").replaceChildren(drawHistogram(drift.window.counts));
    find("drift-body").hidden = false;
  } catch (problem) {
    status.textContent = problem.message;
    delete status.dataset.verdict;
    find("drift-body").hidden = true;
  }
}

function verdictOf({ alarm, alarm_at: at, num_scores: num, max_log10_martingale: most }) {
  const scored = `${num.toLocaleString("en")} images scored.`;
  if (!num) return "● Nothing scored yet since the server began to watch.";
  if (!alarm) return `● No alarm. ${scored} The evidence was at most 10^${number(most)}.`;
  return (
    `▲ Alarm since image ${Number(at).toLocaleString("en")}: the images are not what the calibration images were. ` +
    `${scored} See to the camera and the light, then calibrate anew.`
  );
}
