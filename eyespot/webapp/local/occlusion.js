// How much a class's logit falls when a part of the picture is covered: eyespot/explanation/occlusion.py.

import { edgePixels, quantile } from "./likeness.js";
import { evenRound } from "./resample.js";

const PATCHES_A_SIDE = 7;
const SMALLEST_PATCH = 2;
const TOGETHER = 64; // covered pictures, in one go

/** Rows of numbers, above 0 where what is there speaks for the class. `logits` gives those of that class, of pictures. */
export async function occlusion(pixels, appearance, logits) {
  const { height, width } = pixels;
  const levels = background(pixels, appearance);
  const [falls, counts] = [new Float64Array(height * width), new Float64Array(height * width)];
  const covers = coversOf(height, width);
  const changing = covers.filter((cover) => placesOf(cover, width).some((place) => differs(pixels, place, levels)));
  const [whole] = await logits([pixels.data]);
  for (const cover of covers) placesOf(cover, width).forEach((place) => (counts[place] += 1));
  for (let start = 0; start < changing.length; start += TOGETHER) {
    const some = changing.slice(start, start + TOGETHER);
    const found = await logits(some.map((cover) => covered(pixels, cover, levels)));
    some.forEach((cover, row) => placesOf(cover, width).forEach((place) => (falls[place] += whole - found[row])));
  }
  return Array.from({ length: height }, (_, row) =>
    Array.from({ length: width }, (__, column) => falls[row * width + column] / counts[row * width + column]),
  );
}

/** A level for each channel: the training images', or the median along this picture's edges. */
function background({ height, width, channels, data }, appearance) {
  return Array.from({ length: channels }, (_, channel) => {
    if (appearance?.plain) return appearance.background * 255;
    const levels = Array.from(data.filter((__, place) => place % channels === channel));
    return quantile(edgePixels(levels, height, width), 0.5);
  });
}

const differs = ({ channels, data }, place, levels) =>
  levels.some((level, channel) => data[place * channels + channel] !== Math.fround(level));

function covered({ channels, data, width }, cover, levels) {
  const copy = Uint8Array.from(data);
  for (const place of placesOf(cover, width)) {
    levels.forEach((level, channel) => (copy[place * channels + channel] = evenRound(level)));
  }
  return copy;
}

function coversOf(height, width) {
  const side = Math.max(SMALLEST_PATCH, evenRound(Math.min(height, width) / PATCHES_A_SIDE));
  const stride = Math.max(1, Math.floor(side / 2));
  const along = (length) => {
    const spans = [];
    for (let start = stride - side; start < length; start += stride) {
      spans.push([Math.max(0, start), Math.min(length, start + side)]);
    }
    return spans;
  };
  return along(height).flatMap((rows) => along(width).map((columns) => ({ rows, columns })));
}

function placesOf({ rows: [top, bottom], columns: [left, right] }, width) {
  const places = [];
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) places.push(row * width + column);
  }
  return places;
}
