// Charts as SVG, made by calls. Their colours and widths are the style sheet's.

import { draw } from "./dom.js";

const AREA = areaOf(320, 220);
const WORDY = { ...AREA, left: 98 }; // with room for words at the left
const SMALL = { ...areaOf(240, 176), left: 50, right: 236 }; // one of several beside each other

const MARK_PX = 3; // from the middle of a mark to its edge
const STEP_PX = 5; // between the marks of two lines at one place
const MARKS = [
  (x, y) => draw("circle", { cx: x, cy: y, r: MARK_PX }),
  (x, y) => draw("circle", { cx: x, cy: y, r: MARK_PX, class: "hollow" }),
  (x, y) => draw("rect", { x: x - MARK_PX, y: y - MARK_PX, width: 2 * MARK_PX, height: 2 * MARK_PX }),
];

/** A ROC curve of points in [0, 1]², with the point in force marked. */
export function drawRoc(points, here) {
  const { x, y } = scales([0, 1], [0, 1]);
  const chart = frame("ROC: share of anomalies found against share of false alarms", [0, 0.5, 1], [0, 0.5, 1], x, y);
  chart.append(
    draw("path", { class: "diagonal", d: pathOf([[0, 0], [1, 1]], x, y) }),
    draw("path", { class: "curve", d: pathOf(points, x, y) }),
    draw("circle", { class: "here", cx: x(here[0]), cy: y(here[1]), r: 5 }),
    ...titles("false alarms", "found"),
  );
  return chart;
}

/** The martingale by the number of scores, on a logarithmic scale, and the line at which it is an alarm. */
export function drawMartingale(trajectory, alarmAt) {
  const points = trajectory.length ? trajectory : [[0, 0]];
  const values = [...points.map(([, value]) => value), 0, alarmAt];
  const [low, high] = [Math.floor(Math.min(...values)), Math.ceil(Math.max(...values) + 0.25)];
  const end = Math.max(1, points.at(-1)[0]);
  const { x, y } = scales([0, end], [low, high], WORDY);
  const levels = [low, 0, high].filter((level, i, all) => !level || Math.abs(level) > (all[2] - all[0]) / 8);
  const chart = frame("Evidence of a change, by number of images watched", [0, end], levels, x, y, WORDY, multiple);
  chart.append(
    draw("path", { class: "alarm", d: pathOf([[0, alarmAt], [end, alarmAt]], x, y) }),
    draw("text", { class: "alarm-name", x: AREA.right, y: y(alarmAt) - 5, "text-anchor": "end" }, "alarm"),
    draw("path", { class: "curve", d: pathOf(points, x, y) }),
    ...titles("images watched", "", WORDY),
  );
  return chart;
}

/** How the latest images rank among normal ones, in bins of one width, with the height of each if nothing changes. */
export function drawHistogram(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const highest = Math.max(1, ...counts);
  const { x, y } = scales([0, 1], [0, highest]);
  const chart = frame("How many images have which rank", [0, 0.5, 1], [0, highest], x, y);
  const width = x(1 / counts.length) - x(0) - 1.5;
  counts.forEach((count, i) => {
    const top = y(count);
    chart.append(draw("rect", { class: "bin", x: x(i / counts.length), y: top, width, height: AREA.bottom - top }));
  });
  const even = total / counts.length;
  const line = [[0, even], [1, even]];
  chart.append(
    draw("path", { class: "diagonal", d: pathOf(line, x, y) }),
    ...titles("share of normal images that score as high", "images"),
  );
  return chart;
}

/**
 * Shares in [0, 1] with their intervals, by the length of what was looked for, on a logarithmic scale; and the share
 * `level` for comparison. A line is { style, points }, its points { length, share, low, high }, by length.
 */
export function drawShares({ name, told, xName, lengths, level, lines }) {
  const ends = [lengths[0] / 1.35, lengths.at(-1) * 1.35].map(Math.log2);
  const { x: along, y } = scales(ends, [0, 1], SMALL);
  const x = (length) => along(Math.log2(length));
  const chart = frame(name, lengths, [0, 0.5, 1], x, y, SMALL, (share) => `${100 * share} %`);
  chart.prepend(draw("desc", {}, told));
  chart.append(
    draw("path", { class: "level", d: `M${SMALL.left} ${y(level)}H${SMALL.right}` }),
    ...lines.map(({ style, points }, i) => {
      const aside = (i - (lines.length - 1) / 2) * STEP_PX;
      return drawLine(style, points, (length) => x(length) + aside, y);
    }),
    ...titles(xName, "found", SMALL),
  );
  return chart;
}

/** What stands in a legend for a line of `drawShares` of this style. */
export const drawSample = (style) =>
  sample(
    draw("g", { class: `line line-${style}` }, draw("path", { class: "curve", d: "M1 8H33" }), markOf(style, 17, 8)),
  );

/** What stands in a legend for the `level` of `drawShares`. */
export const drawLevelSample = () => sample(draw("path", { class: "level", d: "M1 8H33" }));

const sample = (drawn) => draw("svg", { class: "chart", viewBox: "0 0 34 16", "aria-hidden": "true" }, drawn);

function drawLine(style, points, x, y) {
  return draw(
    "g",
    { class: `line line-${style}` },
    ...points.map(({ length, low, high }) =>
      draw("path", { class: "interval", d: `M${x(length)} ${y(low)}V${y(high)}` }),
    ),
    draw("path", { class: "curve", d: pathOf(points.map(({ length, share }) => [length, share]), x, y) }),
    ...points.map(({ length, share }) => markOf(style, x(length), y(share))),
  );
}

const markOf = (style, x, y) => MARKS[style](x, y);

function areaOf(width, height) {
  return { width, height, left: 40, right: width - 12, top: 10, bottom: height - 34 };
}

function scales([x0, x1], [y0, y1], { left, right, top, bottom } = AREA) {
  return {
    x: (value) => left + ((value - x0) / (x1 - x0)) * (right - left),
    y: (value) => bottom - ((value - y0) / (y1 - y0)) * (bottom - top),
  };
}

const POWERS = [
  [12, " trillion"],
  [9, " billion"],
  [6, " million"],
  [0, ""],
];

/** A number that is given by its logarithm to base 10, short and in words where it is large or small. */
export function multiple(log10) {
  if (log10 < -0.005) return `1/${multiple(-log10)}`;
  if (log10 >= 15) return `1 with ${Math.round(log10)} zeros`;
  const [power, word] = POWERS.find(([least]) => log10 >= least - 0.005);
  return `${Number((10 ** (log10 - power)).toPrecision(2)).toLocaleString("en")}${word}`;
}

function frame(name, xTicks, yTicks, x, y, { width, height, left, right, bottom } = AREA, yText = inFull) {
  return draw(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name },
    ...yTicks.map((tick) => draw("path", { class: "grid", d: `M${left} ${y(tick)}H${right}` })),
    ...yTicks.map((tick) => label(left - 6, y(tick) + 4, "end", yText(tick))),
    ...xTicks.map((tick) => label(x(tick), bottom + 15, x(tick) < right ? "middle" : "end", inFull(tick))),
  );
}

const inFull = (value) => value.toLocaleString("en");

const label = (x, y, anchor, text) => draw("text", { x, y, "text-anchor": anchor }, text);

const title = (transform, text) => draw("text", { transform, "text-anchor": "middle" }, text);
const titles = (xName, yName, { height, left, right, top, bottom } = AREA) => [
  title(`translate(${(left + right) / 2} ${height - 4})`, xName),
  title(`translate(11 ${(top + bottom) / 2}) rotate(-90)`, yName),
];

const pathOf = (points, x, y) => `M${points.map(([a, b]) => `${x(a).toFixed(2)} ${y(b).toFixed(2)}`).join("L")}`;
