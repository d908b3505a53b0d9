// Whether a picture already looks like the training images: eyespot/preprocessing/appearance.py.

import { evenRound } from "./resample.js";

const MARGIN = 0.04; // a pixel of 28
const FAINTEST = 0.5; // of the usual strength
const SAME_EDGE = 0.5; // the least share of edge pixels on the background's level
const OBJECT = 0.25; // of the strongest pixels' distance to the background
const STRONGEST = 0.99;
const SAME_LEVEL = 25.5; // a tenth of the range

export function looksLikeTraining(pixels, appearance) {
  const grey = greys(pixels);
  const { height, width } = pixels;
  const background = appearance.background * 255;
  const edge = edgePixels(grey, height, width);
  const same = edge.filter((level) => Math.abs(level - background) <= SAME_LEVEL).length / edge.length;
  if (same < Math.min(SAME_EDGE, appearance.uniform)) return false;
  const found = outline(grey.map((level) => Math.max((level - background) * (appearance.lighter ? 1 : -1), 0)), height, width);
  if (!found || found.strength < FAINTEST * appearance.strength) return false;
  const { strength: _, ...places } = found;
  return Object.entries({ ...places, longest: Math.max(found.height, found.width) }).every(([name, value]) => {
    const { low, high } = appearance[name];
    return low - MARGIN <= value && value <= high + MARGIN;
  });
}

/** The level of each pixel, colours averaged. */
export function greys({ height, width, channels, data }) {
  return Array.from({ length: height * width }, (_, place) => {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += data[place * channels + channel];
    return evenRound(sum / channels);
  });
}

/** The outermost ring of a picture's levels. */
export function edgePixels(levels, height, width) {
  return levels.filter((_, place) => {
    const [row, column] = [Math.floor(place / width), place % width];
    return row === 0 || column === 0 || row === height - 1 || column === width - 1;
  });
}

/** With linear interpolation, as NumPy's. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

function outline(distance, height, width) {
  const limit = Math.max(OBJECT * quantile(distance, STRONGEST), SAME_LEVEL);
  const within = distance.flatMap((value, place) => (value > limit ? [place] : []));
  if (!within.length) return null;
  const rows = within.map((place) => Math.floor(place / width));
  const columns = within.map((place) => place % width);
  const [top, left] = [rows, columns].map((places) => places.reduce((a, b) => Math.min(a, b)));
  const [bottom, right] = [rows, columns].map((places) => places.reduce((a, b) => Math.max(a, b)) + 1);
  let [total, down, across] = [0, 0, 0];
  distance.forEach((value, place) => {
    total += value;
    down += value * (Math.floor(place / width) + 0.5);
    across += value * ((place % width) + 0.5);
  });
  return {
    height: (bottom - top) / height,
    width: (right - left) / width,
    box_row: (top + bottom) / 2 / height,
    box_column: (left + right) / 2 / width,
    mass_row: down / total / height,
    mass_column: across / total / width,
    strength: quantile(within.map((place) => distance[place]), 0.9) / 255,
  };
}
