// Verdicts by p-value: an image is anomalous where p <= alpha. No request is needed to change alpha.
//
// A p-value is a rank among n calibration images, so it is a multiple of 1 / (n + 1) and never below that: a smaller
// alpha has no verdict but "open".

const [LOWEST, HIGHEST] = [0.001, 0.5];

/** Positions of the slider, 0 … STEPS, evenly spread over the logarithm of alpha. */
export const STEPS = 200;

/** The false-alarm rate at a position, of two digits. */
export const alphaAt = (position) => Number((LOWEST * (HIGHEST / LOWEST) ** (position / STEPS)).toPrecision(2));

/** The position of the rate nearest to `alpha`. */
export const positionOf = (alpha) => Math.round((STEPS * Math.log(alpha / LOWEST)) / Math.log(HIGHEST / LOWEST));

/** "waiting", "failed", "open", "anomalous" or "normal". */
export function verdictOf(item, alpha) {
  if (!item.answer) return item.problem ? "failed" : "waiting";
  if (item.numCalibration !== null && alpha < grain(item.numCalibration)) return "open";
  return item.answer.p_value <= alpha ? "anomalous" : "normal";
}

/** What a verdict is called, with a sign of its own, so that colour is never all. */
export const SIGNS = { anomalous: "▲", normal: "●", open: "◌", failed: "✕", waiting: "…" };
export const NAMES = {
  anomalous: "anomalous",
  normal: "normal",
  open: "no verdict",
  failed: "not scored",
  waiting: "waiting",
};

/** The smallest p-value, and so the smallest false-alarm rate, of a model with n calibration images. */
export const grain = (n) => 1 / (n + 1);

/** Why this alpha has no verdicts, or "" where it has. */
export function shortageOf(alpha, n) {
  if (n === null || alpha >= grain(n)) return "";
  const needed = Math.ceil(1 / alpha - 1 - 1e-9);
  return (
    `This model has ${n} calibration images, so no p-value is below ${number(grain(n))}. A rate of ${number(alpha)} ` +
    `needs at least ${needed} of them: calibrate with more normal images, or choose a larger rate.`
  );
}

/** A number of three digits, for people. */
export const number = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 6 });
export const percent = (share) => `${number(100 * share)} %`;
