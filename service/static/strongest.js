// The strongest place of a heatmap: a box over it, and its strength. Both are there for every heatmap; the style sheet
// shows them where the verdict is "anomalous", which the slider may change at any time.

import { draw, make } from "./dom.js";
import { number } from "./verdicts.js";

const SMALLEST = 1 / 20; // of the picture's longer side, so that a single pixel is seen

/** The box over a picture of an item that is shown whole, as `object-fit: contain` does; none if all is equal. */
export function strongestBox({ answer, size: [width, height] }) {
  const place = answer.strongest;
  if (!place) return [];
  const least = SMALLEST * Math.max(width, height);
  const [w, h] = [Math.max(place.width, least), Math.max(place.height, least)];
  const middle = { x: place.x + place.width / 2, y: place.y + place.height / 2 };
  const box = { x: middle.x - w / 2, y: middle.y - h / 2, width: w, height: h };
  const lines = ["outer", "inner"].map((name) => draw("rect", { class: name, ...box }));
  return [draw("svg", { class: "strongest", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ...lines)];
}

/** A strength of two digits: a caption has no room for more. */
export const times = ({ strength }) => `${number(Number(strength.toPrecision(2)))}×`;

/** The strength, for a caption. */
export function strengthText({ answer: { strongest } }) {
  return strongest ? [make("span", { className: "strength" }, ` ${times(strongest)}`)] : [];
}
