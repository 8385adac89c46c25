// Where what a model draws lies on the picture: models see pictures padded to a square, cropped or squashed.

/** A model's square as what it shows of a picture of this size; stretched over the picture it lies right. */
export async function placed(square, [width, height], preprocess) {
  const laid = { pad: ofPadded, crop: ofCropped }[preprocess?.resize];
  if (!laid || width === height) return square;
  const bitmap = await laid(square, width, height);
  square.close();
  return bitmap;
}

// The picture lies in the middle, and its edges are repeated to fill the square.
function ofPadded(square, width, height) {
  const scale = square.width / Math.max(width, height);
  const [w, h] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  return createImageBitmap(square, Math.floor((square.width - w) / 2), Math.floor((square.width - h) / 2), w, h);
}

// The model saw the middle only; what lies beside it stays empty.
function ofCropped(square, width, height) {
  const scale = square.width / Math.min(width, height);
  const [left, top] = [width, height].map((side) => Math.floor((side - Math.min(width, height)) / 2) * scale);
  const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  canvas.getContext("2d").drawImage(square, left, top);
  return createImageBitmap(canvas);
}
