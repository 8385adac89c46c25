// The colours of heatmaps, as in the reports: nothing up to what ordinary normal images reach, then matplotlib's
// plasma, from purple to yellow, on a logarithmic scale; and how a grey map gets smaller.

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

/** A grey map of at most so many pixels a side: each is the brightest that it covers, lest a small place fade. */
export async function brightest(bitmap, longest) {
  const scale = longest / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1) return bitmap;
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const small = new ImageData(width, height);
  const context = new OffscreenCanvas(bitmap.width, 1 + Math.ceil(bitmap.height / height)).getContext("2d", {
    willReadFrequently: true,
  });
  for (let row = 0; row < height; row += 1) {
    const [top, end] = [row, row + 1].map((each) => Math.ceil((each * bitmap.height) / height));
    context.drawImage(bitmap, 0, top, bitmap.width, end - top, 0, 0, bitmap.width, end - top);
    const { data } = context.getImageData(0, 0, bitmap.width, end - top);
    for (let at = 0, x = 0; at < data.length; at += 4, x = x + 1 < bitmap.width ? x + 1 : 0) {
      const place = 4 * (row * width + Math.floor((x * width) / bitmap.width));
      if (data[at] >= small.data[place]) small.data.set([data[at], data[at], data[at], 255], place);
    }
  }
  bitmap.close();
  return createImageBitmap(small);
}
