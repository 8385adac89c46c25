// What a person says of an image: kept by the server's history, where it is on.

import { ask } from "./api.js";
import { make } from "./dom.js";

const CHOICES = [
  ["It is normal", "normal"],
  ["It is anomalous", "anomalous"],
  ["No correction", null],
];

/** Buttons that correct these entries of the history; once it has that, `onCorrected` gets the correction and a row. */
export function correctionButtons(ids, current, onCorrected) {
  const trouble = make("span", { className: "warning", role: "alert" });
  const buttons = CHOICES.map(([text]) => make("button", { type: "button" }, text));
  const press = (correction) => {
    buttons.forEach((button, i) => (button.ariaPressed = String(CHOICES[i][1] === correction)));
  };
  buttons.forEach((button, i) => {
    button.addEventListener("click", async () => {
      const correction = CHOICES[i][1];
      trouble.textContent = "";
      try {
        const row = await correct(ids, correction);
        press(correction);
        onCorrected(correction, row);
      } catch (problem) {
        trouble.textContent = problem.message;
      }
    });
  });
  press(current);
  return [...buttons, trouble];
}

// The row of the last of them, as it is then. Raises Problem.
async function correct(ids, correction) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ correction });
  let row = null;
  for (const id of ids) row = await ask(`history/${id}/correction`, { method: "PUT", headers, body });
  return row;
}
