// Drift of the chosen model: the martingale with its alarm line, and a histogram of the p-values lately.

import { Latest, ask } from "./api.js";
import { drawHistogram, drawMartingale, multiple } from "./charts.js";
import { find } from "./dom.js";
import { chosenModel } from "./models.js";
import { count, percent } from "./verdicts.js";

const asking = new Latest();

/** Connect the button. */
export function connectDrift() {
  find("drift-again").addEventListener("click", showDrift);
}

/** Ask how the chosen model's process does, and draw it. */
export async function showDrift() {
  const status = find("drift-status");
  if (!chosenModel()) return;
  status.textContent = "Looking …";
  const signal = asking.begin();
  try {
    const drift = await ask(`models/${encodeURIComponent(chosenModel())}/drift`, { signal });
    status.textContent = verdictOf(drift);
    status.dataset.verdict = drift.alarm ? "anomalous" : "normal";
    find("drift-meaning").textContent =
      `It begins at 1 and grows while images score unlike the calibration images; its scale is logarithmic. The ` +
      `alarm is at ${multiple(-Math.log10(drift.rate))}. While nothing changes, it gets there with a probability ` +
      `of at most ${percent(drift.rate)}, however long the server runs.`;
    find("drift-window").textContent =
      `The last ${count(drift.window.num)}: on the left those that hardly any normal image equals, on the right ` +
      "ordinary ones. While nothing changes, the bars end near the dashed line; the fewer images have calibrated, " +
      "the more they differ.";
    find("drift-martingale").replaceChildren(drawMartingale(drift.trajectory, -Math.log10(drift.rate)));
    find("drift-histogram").replaceChildren(drawHistogram(drift.window.counts));
    find("drift-body").hidden = false;
  } catch (problem) {
    if (signal.aborted) return;
    status.textContent = problem.message;
    delete status.dataset.verdict;
    find("drift-body").hidden = true;
  }
}

function verdictOf({ alarm, alarm_at: at, num_scores: num, max_log10_martingale: most, rate }) {
  const watched = `${count(num)} images watched.`;
  if (!num) return "● Nothing scored yet since the server began to watch.";
  if (alarm) {
    return (
      `▲ Alarm since image ${count(Number(at))}: the images are not what the calibration images were. ${watched} ` +
      "See to the camera and the light, then have the model calibrated again."
    );
  }
  const alarmAt = multiple(-Math.log10(rate));
  return `● No alarm. ${watched} The evidence of a change was at most ${multiple(most)}; the alarm is at ${alarmAt}.`;
}
