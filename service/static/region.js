// The outline of a model's region: what lies outside of it is never evidence.

const LONG_SIDE = 512; // pixels of the drawing
const WIDTH = 2; // of the line, just outside of the region
const COLOUR = [80, 220, 100, 255]; // as in the reports

/** The outline as a picture of a shape [width, height], from the region's bitmap, whose white is inside. */
export function outlineOf(region, [width, height]) {
  const scale = LONG_SIDE / Math.max(width, height);
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(region, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const inside = Uint8Array.from({ length: pixels.data.length / 4 }, (_, at) => pixels.data[4 * at] > 127);
  pixels.data.fill(0);
  for (let at = 0; at < inside.length; at += 1) {
    if (!inside[at] && isBeside(inside, at, canvas)) pixels.data.set(COLOUR, 4 * at);
  }
  context.putImageData(pixels, 0, 0);
  return createImageBitmap(canvas);
}

function isBeside(inside, at, { width, height }) {
  const [x, y] = [at % width, Math.floor(at / width)];
  for (let row = Math.max(0, y - WIDTH); row <= Math.min(height - 1, y + WIDTH); row += 1) {
    for (let column = Math.max(0, x - WIDTH); column <= Math.min(width - 1, x + WIDTH); column += 1) {
      if (inside[row * width + column]) return true;
    }
  }
  return false;
}
