// Charts as SVG, made by calls. Their colours and widths are the style sheet's.

import { draw } from "./dom.js";

const [WIDTH, HEIGHT] = [320, 220];
const AREA = { left: 40, right: WIDTH - 12, top: 10, bottom: HEIGHT - 34 };
const WORDY = { ...AREA, left: 98 }; // with room for words at the left

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
  const chart = frame("Evidence of a change, by number of images scored", [0, end], levels, x, y, WORDY, multiple);
  chart.append(
    draw("path", { class: "alarm", d: pathOf([[0, alarmAt], [end, alarmAt]], x, y) }),
    draw("text", { class: "alarm-name", x: AREA.right, y: y(alarmAt) - 5, "text-anchor": "end" }, "alarm"),
    draw("path", { class: "curve", d: pathOf(points, x, y) }),
    ...titles("images scored", "", WORDY),
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

function frame(name, xTicks, yTicks, x, y, { left, right, bottom } = AREA, yText = inFull) {
  return draw(
    "svg",
    { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": name },
    ...yTicks.map((tick) => draw("path", { class: "grid", d: `M${left} ${y(tick)}H${right}` })),
    ...yTicks.map((tick) => label(left - 6, y(tick) + 4, "end", yText(tick))),
    ...xTicks.map((tick, i) => label(x(tick), bottom + 15, i === xTicks.length - 1 ? "end" : "middle", inFull(tick))),
  );
}

const inFull = (value) => value.toLocaleString("en");

const label = (x, y, anchor, text) => draw("text", { x, y, "text-anchor": anchor }, text);

const title = (transform, text) => draw("text", { transform, "text-anchor": "middle" }, text);
const titles = (xName, yName, { left, right, top, bottom } = AREA) => [
  title(`translate(${(left + right) / 2} ${HEIGHT - 4})`, xName),
  title(`translate(11 ${(top + bottom) / 2}) rotate(-90)`, yName),
];

const pathOf = (points, x, y) => `M${points.map(([a, b]) => `${x(a).toFixed(2)} ${y(b).toFixed(2)}`).join("L")}`;
