// Where the ink is, and which of it belongs to the object. Ink is {height, width, values}, from 0 to 1.

const LEVELS = 64;
const SPECK = 0.1; // of the main piece's longest side: smaller ones are dirt
const NEAR = 0.3; // of the main piece's longest side: parts of an object are no further away
const CENTRAL = 0.35; // how much less a piece counts at the frame than in the middle

/** The threshold between two kinds of values that makes them most unlike (Otsu 1979). */
export function otsu(values) {
  const counts = new Array(LEVELS).fill(0);
  for (const value of values) counts[Math.min(Math.floor(value * LEVELS), LEVELS - 1)] += 1;
  const whole = counts.reduce((sum, count, level) => sum + count * level, 0);
  let [best, threshold, below, sum] = [-1, 0, 0, 0];
  counts.forEach((count, level) => {
    below += count;
    sum += count * level;
    const above = values.length - below;
    const apart = below && above ? below * above * (sum / below - (whole - sum) / above) ** 2 : 0;
    if (apart > best) [best, threshold] = [apart, (level + 1) / LEVELS];
  });
  return threshold;
}

/** What is above a threshold and belongs to the most prominent piece, cut out; null where nothing is. */
export function objectOf(ink, threshold) {
  const found = pieces(ink, threshold);
  const inside = found.filter((piece) => !piece.cutOff);
  const counted = inside.length ? inside : found;
  if (!counted.length) return null;
  const weight = (piece) => piece.longest * piece.strength * central(piece, ink);
  const main = counted.reduce((best, piece) => (weight(piece) > weight(best) ? piece : best));
  const parts = counted.filter((piece) => piece.longest >= SPECK * main.longest && gap(piece, main) <= NEAR * main.longest);
  const [top, left] = ["top", "left"].map((side) => Math.min(...parts.map((piece) => piece[side])));
  const [bottom, right] = ["bottom", "right"].map((side) => Math.max(...parts.map((piece) => piece[side])));
  const object = { height: bottom - top, width: right - left, values: new Array((bottom - top) * (right - left)).fill(0) };
  for (const place of parts.flatMap((piece) => piece.places)) {
    const [row, column] = [Math.floor(place / ink.width) - top, (place % ink.width) - left];
    object.values[row * object.width + column] = ink.values[place];
  }
  return object;
}

/** Connected places above a threshold, corners too. */
function pieces({ height, width, values }, threshold) {
  const free = values.map((value) => value > threshold);
  const found = [];
  for (let start = 0; start < free.length; start++) {
    if (!free[start]) continue;
    const piece = { places: [], top: height, left: width, bottom: 0, right: 0, strength: 0 };
    const waiting = [start];
    free[start] = false;
    while (waiting.length) {
      const place = waiting.pop();
      const [row, column] = [Math.floor(place / width), place % width];
      piece.places.push(place);
      piece.strength += values[place];
      piece.top = Math.min(piece.top, row);
      piece.left = Math.min(piece.left, column);
      piece.bottom = Math.max(piece.bottom, row + 1);
      piece.right = Math.max(piece.right, column + 1);
      for (let down = Math.max(row - 1, 0); down <= Math.min(row + 1, height - 1); down++) {
        for (let across = Math.max(column - 1, 0); across <= Math.min(column + 1, width - 1); across++) {
          if (!free[down * width + across]) continue;
          free[down * width + across] = false;
          waiting.push(down * width + across);
        }
      }
    }
    piece.strength /= piece.places.length;
    piece.longest = Math.max(piece.bottom - piece.top, piece.right - piece.left);
    piece.cutOff = piece.top === 0 || piece.left === 0 || piece.bottom === height || piece.right === width;
    found.push(piece);
  }
  return found;
}

function central({ top, bottom, left, right }, { height, width }) {
  return 1 - CENTRAL * Math.max(Math.abs((top + bottom) / height - 1), Math.abs((left + right) / width - 1));
}

const gap = (one, other) =>
  Math.max(one.left - other.right, other.left - one.right, one.top - other.bottom, other.top - one.bottom, 0);
