// Pixels as a model takes them, to and from PNG, and onto a canvas; {height, width, channels, data} as in strokes.js.

const RED = [178, 24, 43]; // the ends of the scale that reports draw maps with
const BLUE = [33, 102, 172];
const WHITE = [247, 247, 247];
const UNDERNEATH = 0.35; // how much of the picture is seen through a map

/** RGBA of each pixel. */
function imageData({ height, width, channels, data }) {
  const image = new ImageData(width, height);
  for (let place = 0; place < height * width; place++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[place * 4 + channel] = data[place * channels + (channels === 1 ? 0 : channel)];
    }
    image.data[place * 4 + 3] = 255;
  }
  return image;
}

/** Shows pixels, one for one. */
export function paint(canvas, pixels) {
  Object.assign(canvas, { width: pixels.width, height: pixels.height });
  canvas.getContext("2d").putImageData(imageData(pixels), 0, 0);
}

/** Shows a map over its picture, drawn dark on light: red above 0, blue below. */
export function paintMap(canvas, pixels, map) {
  const flat = map.flat();
  const dark = isDark(pixels);
  const most = flat.reduce((high, value) => Math.max(high, Math.abs(value)), 0) || 1;
  const image = imageData(pixels);
  flat.forEach((value, place) => {
    const [end, share] = [value > 0 ? RED : BLUE, Math.abs(value) / most];
    const under = image.data.subarray(place * 4, place * 4 + 3);
    const level = (under[0] + under[1] + under[2]) / 3;
    const grey = dark ? 255 - level : level;
    under.forEach((_, channel) => {
      const colour = WHITE[channel] + (end[channel] - WHITE[channel]) * share;
      under[channel] = Math.round((1 - UNDERNEATH) * colour + UNDERNEATH * grey);
    });
  });
  Object.assign(canvas, { width: pixels.width, height: pixels.height });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Whether what surrounds the object is. */
function isDark({ height, width, channels, data }) {
  const corners = [0, width - 1, (height - 1) * width, height * width - 1];
  return corners.reduce((sum, place) => sum + data[place * channels], 0) / corners.length < 128;
}

/** At once: toBlob would wait until the browser has nothing else to do. */
export function toPng(pixels) {
  const canvas = document.createElement("canvas");
  paint(canvas, pixels);
  return new Blob([bytesOf(canvas.toDataURL("image/png").split(",")[1])], { type: "image/png" });
}

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** RGBA of any picture the browser can open: upright, over white, its levels as they are in the file. */
export async function decoded(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}

/** The pixels of a PNG in base64, as it is. */
export async function fromBase64(text, channels) {
  const { width, height, data } = await decoded(new Blob([bytesOf(text)], { type: "image/png" }));
  return { height, width, channels, data: data.filter((_, place) => place % 4 < channels) };
}
