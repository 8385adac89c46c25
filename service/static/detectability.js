// How small a defect a model finds, as it was measured after training: a panel for each kind, a line for each contrast.

import { drawLevelSample, drawSample, drawShares } from "./charts.js";
import { make } from "./dom.js";
import { percent } from "./verdicts.js";

const NUM_STYLES = 3;

/** The figure of a record: its legend and its panels. The model card has the same numbers as a table. */
export function detectabilityOf({ alpha, cells }) {
  const lengths = distinct(cells.map(({ length }) => length)).sort((a, b) => a - b);
  const contrasts = distinct(cells.map(({ contrast }) => contrast)).sort((a, b) => b - a);
  const styleOf = (contrast) => contrasts.indexOf(contrast) % NUM_STYLES;
  const kinds = distinct(cells.map(({ kind }) => kind));
  return make(
    "figure",
    { className: "detectability" },
    make(
      "ul",
      { className: "faint" },
      ...contrasts.map((contrast) => make("li", {}, drawSample(styleOf(contrast)), contrastName(contrast))),
      make("li", {}, drawLevelSample(), `false-alarm rate, ${percent(alpha)}`),
      make("li", {}, "Bars are 95 % intervals."),
    ),
    ...kinds.map((kind) => panelOf(kind, cells.filter((cell) => cell.kind === kind), { alpha, lengths, styleOf })),
  );
}

function panelOf(kind, cells, { alpha, lengths, styleOf }) {
  const curves = distinct(cells.map(({ contrast }) => contrast)).map((contrast) =>
    cells.filter((cell) => cell.contrast === contrast).sort((a, b) => a.length - b.length),
  );
  const chart = drawShares({
    name: `${kind}: share found, by length in pixels, at ${percent(alpha)} false alarms`,
    told: curves.map(inWords).join(" "),
    xName: kind.includes("scratch") ? "length in pixels" : "pixels across",
    lengths,
    level: alpha,
    lines: curves.map((curve) => ({ style: styleOf(curve[0].contrast), points: curve.map(pointOf) })),
  });
  return make("figure", {}, make("figcaption", {}, kind[0].toUpperCase() + kind.slice(1)), chart);
}

const pointOf = ({ length, found, shown, low, high }) => ({ length, share: found / shown, low, high });

function inWords(curve) {
  const told = curve.map(
    ({ length, found, shown, low, high }) =>
      `at ${length} pixels in ${found} of ${shown} pictures (95 % interval ${whole(low)} to ${whole(high)} %)`,
  );
  return `${contrastName(curve[0].contrast)}: found ${told.join(", ")}.`;
}

const contrastName = (contrast) =>
  contrast === null ? "contrast decided by the picture" : `contrast ${percent(contrast)}`;
const whole = (share) => Math.round(100 * share);
const distinct = (values) => [...new Set(values)];
