// What a person says of an image: kept by the server's history, where it is on.

import { request } from "./api.js";
import { make } from "./dom.js";

const CHOICES = [
  ["It is normal", "normal"],
  ["It is anomalous", "anomalous"],
  ["No correction", null],
];

/** Buttons that correct these entries of the history; `onCorrected(correction)` is called once the server has it. */
export function correctionButtons(ids, current, onCorrected) {
  const trouble = make("span", { className: "warning", role: "alert" });
  const buttons = CHOICES.map(([text]) => make("button", { type: "button" }, text));
  const press = (correction) => {
    buttons.forEach((button, i) => (button.ariaPressed = String(CHOICES[i][1] === correction)));
  };
  buttons.forEach((button, i) => {
    button.addEventListener("click", async () => {
      const correction = CHOICES[i][1];
      trouble.textContent = await correct(ids, correction);
      if (trouble.textContent) return;
      press(correction);
      onCorrected(correction);
    });
  });
  press(current);
  return [...buttons, trouble];
}

// Says what went wrong, or "".
async function correct(ids, correction) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ correction });
  try {
    for (const id of ids) await request(`history/${id}/correction`, { method: "PUT", headers, body });
    return "";
  } catch (problem) {
    return problem.message;
  }
}
