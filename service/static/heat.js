// The colours of heatmaps, as in the reports: nothing up to what ordinary normal images reach, then matplotlib's
// plasma, from purple to yellow, on a logarithmic scale.

const NORMAL_GREY = 64; // the strongest place of an ordinary normal image
const PLASMA = ["7e03a8", "a01a9c", "bc3587", "d35171", "e66c5c", "f58b47", "fdac33", "fcd225", "f0f921"].map((hex) =>
  [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)),
);

/** The colour by the grey of a heatmap, as a canvas has it in memory: red, green, blue, opacity. */
export const COLOURS = new Uint32Array(Uint8ClampedArray.from({ length: 1024 }, byteOf).buffer);

function byteOf(_, at) {
  return colourOf(Math.floor(at / 4))[at % 4];
}

function colourOf(grey) {
  const heat = Math.log(Math.max(grey, NORMAL_GREY) / NORMAL_GREY) / Math.log(255 / NORMAL_GREY);
  const place = heat * (PLASMA.length - 1);
  const [low, high] = [PLASMA[Math.floor(place)], PLASMA[Math.ceil(place)]];
  const colour = low.map((value, channel) => value + (place % 1) * (high[channel] - value));
  return [...colour, 255 * Math.min(0.9, 1.4 * Math.sqrt(heat))];
}
