// Charts as SVG, made by calls. Their colours and widths are the style sheet's.

import { draw } from "./dom.js";

const [WIDTH, HEIGHT] = [320, 220];
const AREA = { left: 40, right: WIDTH - 12, top: 10, bottom: HEIGHT - 34 };

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

/** The martingale's logarithm over the number of scores, and the line at which it is an alarm. */
export function drawMartingale(trajectory, alarmAt) {
  const points = trajectory.length ? trajectory : [[0, 0]];
  const values = [...points.map(([, value]) => value), 0, alarmAt];
  const [low, high] = [Math.floor(Math.min(...values)), Math.ceil(Math.max(...values) + 0.25)];
  const end = Math.max(1, points.at(-1)[0]);
  const { x, y } = scales([0, end], [low, high]);
  const levels = [...new Set([low, 0, high])];
  const chart = frame("Evidence, a logarithm to base 10, by number of scores", [0, end], levels, x, y);
  chart.append(
    draw("path", { class: "alarm", d: pathOf([[0, alarmAt], [end, alarmAt]], x, y) }),
    draw("text", { class: "alarm-name", x: AREA.right, y: y(alarmAt) - 5, "text-anchor": "end" }, "alarm"),
    draw("path", { class: "curve", d: pathOf(points, x, y) }),
    ...titles("images scored", "log₁₀ evidence"),
  );
  return chart;
}

/** A histogram of p-values in bins of equal width, with the height that a steady process would give each. */
export function drawHistogram(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const highest = Math.max(1, ...counts);
  const { x, y } = scales([0, 1], [0, highest]);
  const chart = frame("How many p-values lie where", [0, 0.5, 1], [0, highest], x, y);
  const width = x(1 / counts.length) - x(0) - 1.5;
  counts.forEach((count, i) => {
    const top = y(count);
    chart.append(draw("rect", { class: "bin", x: x(i / counts.length), y: top, width, height: AREA.bottom - top }));
  });
  const even = total / counts.length;
  const line = [[0, even], [1, even]];
  chart.append(draw("path", { class: "diagonal", d: pathOf(line, x, y) }), ...titles("p-value", "images"));
  return chart;
}

function scales([x0, x1], [y0, y1]) {
  return {
    x: (value) => AREA.left + ((value - x0) / (x1 - x0)) * (AREA.right - AREA.left),
    y: (value) => AREA.bottom - ((value - y0) / (y1 - y0)) * (AREA.bottom - AREA.top),
  };
}

function frame(name, xTicks, yTicks, x, y) {
  return draw(
    "svg",
    { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": name },
    ...yTicks.map((tick) => draw("path", { class: "grid", d: `M${AREA.left} ${y(tick)}H${AREA.right}` })),
    ...yTicks.map((tick) => label(AREA.left - 6, y(tick) + 4, "end", tick)),
    ...xTicks.map((tick, i) => label(x(tick), AREA.bottom + 15, i === xTicks.length - 1 ? "end" : "middle", tick)),
  );
}

const label = (x, y, anchor, value) => draw("text", { x, y, "text-anchor": anchor }, value.toLocaleString("en"));

const title = (transform, text) => draw("text", { transform, "text-anchor": "middle" }, text);
const titles = (xName, yName) => [
  title(`translate(${(AREA.left + AREA.right) / 2} ${HEIGHT - 4})`, xName),
  title(`translate(11 ${(AREA.top + AREA.bottom) / 2}) rotate(-90)`, yName),
];

const pathOf = (points, x, y) => `M${points.map(([a, b]) => `${x(a).toFixed(2)} ${y(b).toFixed(2)}`).join("L")}`;
