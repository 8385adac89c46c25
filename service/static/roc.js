// How well scores part labelled images: ROC, its area, and what the threshold in force makes of them. Higher scores are
// more anomalous; ties count half.

/**
 * Points [false-positive rate, true-positive rate] from (0, 0) to (1, 1), one for each distinct score, and the area
 * below. `normal` and `anomalous` are scores. Null where either is empty.
 */
export function rocOf(normal, anomalous) {
  if (!normal.length || !anomalous.length) return null;
  const scored = [normal, anomalous].flatMap((scores, kind) => scores.map((score) => [score, kind]));
  scored.sort((a, b) => b[0] - a[0]);
  const points = [[0, 0]];
  const flagged = [0, 0]; // normals, anomalies
  let area = 0;
  scored.forEach(([score, kind], i) => {
    flagged[kind] += 1;
    if (scored[i + 1]?.[0] === score) return;
    const point = [flagged[0] / normal.length, flagged[1] / anomalous.length];
    const [x, y] = points.at(-1);
    area += ((point[0] - x) * (point[1] + y)) / 2;
    points.push(point);
  });
  return { points, area };
}

/** How many of the labelled images are called what: { truePositive, falseNegative, falsePositive, trueNegative }. */
export function confusionOf(items, labelOf, isFlagged) {
  const count = (label, flagged) =>
    items.filter((item) => labelOf(item) === label && isFlagged(item) === flagged).length;
  return {
    truePositive: count("anomalous", true),
    falseNegative: count("anomalous", false),
    falsePositive: count("normal", true),
    trueNegative: count("normal", false),
  };
}
