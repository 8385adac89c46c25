// Verdicts by p-value: an image is anomalous where p <= alpha. No request is needed to change alpha.
//
// A p-value is a rank among n calibration images, so it is a multiple of 1 / (n + 1) and never below that: a smaller
// alpha has no verdict but "none".

const [LOWEST, HIGHEST] = [0.001, 0.5];

/** Positions of the slider, 0 … STEPS, evenly spread over the logarithm of alpha. */
export const STEPS = 200;

/** The false-alarm rate at a position, of two digits. */
export const alphaAt = (position) => Number((LOWEST * (HIGHEST / LOWEST) ** (position / STEPS)).toPrecision(2));

/** The position of the rate nearest to `alpha`. */
export const positionOf = (alpha) => Math.round((STEPS * Math.log(alpha / LOWEST)) / Math.log(HIGHEST / LOWEST));

/** "unscored" (no result), "waiting", "failed", "none", "anomalous" or "normal". */
export function verdictOf(result, alpha) {
  if (!result) return "unscored";
  if (!result.answer) return result.problem ? "failed" : "waiting";
  if (result.numCalibration !== null && alpha < grain(result.numCalibration)) return "none";
  return result.answer.p_value <= alpha ? "anomalous" : "normal";
}

/** What a verdict is called, with a sign of its own, so that colour is never all. */
export const SIGNS = { anomalous: "▲", normal: "●", none: "◌", failed: "✕", waiting: "…", unscored: "–" };
export const NAMES = {
  anomalous: "anomalous",
  normal: "normal",
  none: "no verdict",
  failed: "could not be scored",
  waiting: "waiting",
  unscored: "not scored yet",
};

/** What a p-value says: how many of the n calibration images, all normal, score as high. Without n an estimate. */
export function rankOf(p, n) {
  if (n === null) return `about ${percent(p)} of normal images score as high`;
  const num = Math.round(p * (n + 1)) - 1;
  return num ? `${count(num)} of ${count(n)} normal images score as high` : `above all ${count(n)} normal images`;
}

/** The smallest p-value, and so the smallest false-alarm rate, of a model with n calibration images. */
const grain = (n) => 1 / (n + 1);

/** Why this alpha has no verdicts, or "" where it has. */
export function shortageOf(alpha, n, whose = "this model") {
  if (n === null || alpha >= grain(n)) return "";
  const needed = Math.ceil(1 / alpha - 1 - 1e-9);
  return (
    `No verdict: ${whose} compares with ${count(n)} normal images, which is enough for false-alarm rates from ` +
    `${percent(grain(n))} up. A rate of ${percent(alpha)} needs at least ${count(needed)}. Choose a larger rate, or ` +
    "have the model calibrated with more normal images."
  );
}

/** A number of three digits, for people. */
export const number = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 6 });
export const percent = (share) => `${number(100 * share)} %`;
export const count = (num) => num.toLocaleString("en");

/** A number with its noun, and maybe a verb: `counted(2, "image was", "images were")`. */
export const counted = (num, one, many) => `${count(num)} ${num === 1 ? one : many}`;
