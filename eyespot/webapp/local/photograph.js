// A photograph brought to the looks of the training images: a light version of eyespot/preprocessing/. Shadows and
// ruled lines are not taken out: one background level, one threshold, the pieces that are large enough, size and place.

import { enlargement, fineness, placed, reduced, withLevels } from "../strokes.js";
import { edgePixels, greys, looksLikeTraining, quantile } from "./likeness.js";
import { objectOf, otsu } from "./objects.js";
import { fitted, inChannels, squashed } from "./resample.js";
import { sampled, widened } from "./widen.js";

const SAME_SHAPE = 0.02; // by which a picture's ratio of sides may differ from the model's, and still be only resized
const LONGEST = 320; // pixels a photograph is worked at
const FAINTEST = 0.1; // of ink, beside the paper
const STRONG = 0.95; // quantile of a filled object's levels

/** {pixels, found}: at the model's size, and whether an object was found on it where one was looked for. */
export function read(picture, { input, resize, appearance }) {
  if (!appearance?.plain) return { pixels: fitted(picture, input, resize), found: true };
  const asItIs = unchanged(picture, input, appearance);
  if (asItIs) return { pixels: asItIs, found: true };
  const object = inked(picture);
  if (!object) return { pixels: fitted(picture, input, resize), found: false };
  return { pixels: likeTraining(object, input, appearance), found: true };
}

/** The picture only resized, or inverted, where it then looks like a training picture, or is as large as one. */
function unchanged(picture, input, appearance) {
  const { height, width } = picture;
  if (Math.abs(width * input.height - height * input.width) > SAME_SHAPE * width * input.height) return null;
  const pixels = fitted(picture, input, "squash");
  const inverted = { ...pixels, data: pixels.data.map((level) => 255 - level) };
  const like = [pixels, inverted].find((each) => looksLikeTraining(each, appearance));
  return like ?? (height === input.height && width === input.width ? pixels : null);
}

/** The object, cut out: {height, width, values: ink from 0 to 1}; nothing where there is none. */
function inked(picture) {
  const grey = inChannels(picture, 1);
  const factor = Math.min(1, LONGEST / Math.max(grey.height, grey.width));
  const [height, width] = [grey.height, grey.width].map((side) => Math.max(1, Math.round(side * factor)));
  const shades = greys(squashed(grey, height, width));
  const background = quantile(edgePixels(shades, height, width), 0.5);
  const away = shades.map((level) => (level - background) / 255);
  const lighter = away.reduce((sum, value) => sum + value ** 3, 0) > 0; // the cube: what is strong, not what is wide
  const values = away.map((value) => Math.max(lighter ? value : -value, 0));
  return objectOf({ height, width, values }, Math.max(FAINTEST, otsu(values)));
}

/** The object in the size, place, stroke width and levels of the training images: `drawn` of render.py. */
function likeTraining(object, input, appearance) {
  const fine = fineness(input);
  const box = { across: object.width, down: object.height };
  const scale = enlargement(box, 0, input, appearance) * fine;
  const [height, width] = [object.height, object.width].map((side) => Math.max(1, Math.round(side * scale)));
  const strong = quantile(object.values.filter((value) => value > 0), appearance.drawn ? 0.5 : STRONG);
  const body = sampled({ ...object, values: object.values.map((value) => Math.min(value / strong, 1)) }, height, width);
  const usual = [appearance.stroke.quarter, appearance.stroke.three_quarters].map((share) => share * input.height * fine);
  const inPlace = placed(appearance.drawn ? widened(body, usual) : body, input, appearance, fine);
  return withLevels(reduced(inPlace, fine), input, appearance);
}
