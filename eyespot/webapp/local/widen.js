// Strokes at another size, in the width of the training images' strokes: `_widened` of eyespot/preprocessing/render.py.

const HALF = 0.5;
const THINNED = 0.35; // of its width, the most a stroke loses: its narrow parts would break
const FAR = 1e12;

/** Values at another size, interpolated between the four nearest. */
export function sampled(body, height, width) {
  const values = new Float32Array(height * width);
  const at = (row, column) => body.values[row * body.width + column];
  const along = (place, count, length) => {
    const exact = Math.min(Math.max(((place + 0.5) * length) / count - 0.5, 0), length - 1);
    const first = Math.floor(exact);
    return [first, Math.min(first + 1, length - 1), exact - first];
  };
  for (let row = 0; row < height; row++) {
    const [above, below, down] = along(row, height, body.height);
    for (let column = 0; column < width; column++) {
      const [left, right, across] = along(column, width, body.width);
      const upper = at(above, left) * (1 - across) + at(above, right) * across;
      const lower = at(below, left) * (1 - across) + at(below, right) * across;
      values[row * width + column] = upper * (1 - down) + lower * down;
    }
  }
  return { height, width, values };
}

/** Strokes whose edge is moved along its normal until their width lies between two; as long as before on a side. */
export function widened(body, [narrowest, widest]) {
  const inside = distances(padded(body, 1), (value) => value <= HALF);
  const strokes = inside.values.filter((value) => value > 0);
  if (!strokes.length) return body;
  const width = Math.max(1, 4 * (strokes.reduce((sum, value) => sum + value, 0) / strokes.length) - 2); // measure.py
  const shift = Math.max((Math.min(Math.max(width, narrowest), widest) - width) / 2, (-THINNED * width) / 2);
  const roomy = padded(body, Math.ceil(Math.max(shift, 0)) + 2);
  const [within, without] = [distances(roomy, (value) => value <= HALF), distances(roomy, (value) => value > HALF)];
  const moved = roomy.values.map((_, place) => {
    const distance = without.values[place] - within.values[place];
    return Math.min(Math.max(HALF + shift - distance, 0), 1);
  });
  const tight = trimmed({ ...roomy, values: moved });
  const factor = Math.max(body.height, body.width) / Math.max(tight.height, tight.width);
  const [rows, columns] = [tight.height, tight.width].map((side) => Math.max(1, Math.round(side * factor)));
  return sampled(tight, rows, columns);
}

function padded({ height, width, values }, room) {
  const larger = { height: height + 2 * room, width: width + 2 * room };
  const spread = new Float32Array(larger.height * larger.width);
  for (let row = 0; row < height; row++) {
    spread.set(values.slice(row * width, (row + 1) * width), (row + room) * larger.width + room);
  }
  return { ...larger, values: spread };
}

function trimmed(body) {
  const used = [...body.values.keys()].filter((place) => body.values[place] > 0);
  if (!used.length) return body;
  const bound = (way, of) => used.reduce((found, place) => way(found, of(place)), of(used[0]));
  const [row, column] = [(place) => Math.floor(place / body.width), (place) => place % body.width];
  const [top, left] = [bound(Math.min, row), bound(Math.min, column)];
  const [height, width] = [bound(Math.max, row) - top + 1, bound(Math.max, column) - left + 1];
  const values = new Float32Array(height * width);
  for (let line = 0; line < height; line++) {
    const start = (top + line) * body.width + left;
    values.set(body.values.slice(start, start + width), line * width);
  }
  return { height, width, values };
}

/** How far each place is from the nearest one where `ends` holds (Felzenszwalb and Huttenlocher 2012, exact). */
function distances({ height, width, values }, ends) {
  const squares = Float64Array.from(values, (value) => (ends(value) ? 0 : FAR));
  for (let column = 0; column < width; column++) envelope(squares, column, width, height);
  for (let row = 0; row < height; row++) envelope(squares, row * width, 1, width);
  return { height, width, values: squares.map(Math.sqrt) };
}

/** Along one line, the least of the parabolas that stand on its values; in place. */
function envelope(squares, start, step, count) {
  const value = Float64Array.from({ length: count }, (_, place) => squares[start + place * step]);
  const [roots, borders] = [[0], [-Infinity]];
  const crossing = (a, b) => (value[a] + a * a - value[b] - b * b) / (2 * (a - b));
  for (let place = 1; place < count; place++) {
    while (crossing(place, roots.at(-1)) <= borders.at(-1)) {
      roots.pop();
      borders.pop();
    }
    borders.push(crossing(place, roots.at(-1)));
    roots.push(place);
  }
  for (let place = 0, lowest = 0; place < count; place++) {
    while (borders[lowest + 1] < place) lowest += 1;
    squares[start + place * step] = (place - roots[lowest]) ** 2 + value[roots[lowest]];
  }
}
