// From a drawing to the pixels a model takes: pure functions, the same wherever the model runs.
//
// A drawing is a list of strokes, a stroke a list of [x, y] with x to the right and y downwards, in shares of the longer
// side of the canvas, which has the shape of the model's pictures. A model is described as the REST API does. Pixels are
// {height, width, channels, data}, with data a Uint8Array [height, width, channels].
//
// Where the training images show one grey object each on a plain background, a drawing gets their size, place, stroke
// width and levels, by the same rules as eyespot/preprocessing/render.py; other models see the canvas itself.

export const PEN = 1 / 14; // width of the pen, a share of the canvas's longer side
const FINE = 8; // drawn at so many pixels for one of the model's, a side,
const FINEST = 512; // ... but on no more than so many
const LEAST_STEADY = 0.05; // of the picture's height: an extent that varies more says nothing (render.py)
const LEAST_PEN = 0.75; // pixels of the model's
const OUTLINE = 1.5 / 28; // of the height: the pen around what is filled
const MOST_ENLARGED = 8; // times: a dot stays a dot

/** The model's pixels of a drawing with at least one point. */
export function rendered(strokes, { input, appearance }) {
  if (appearance?.plain) return withLevels(likeTraining(strokes, input, appearance), input, appearance);
  return withLevels(asOnCanvas(strokes, input), input, { background: 1, lighter: false, strength: 1 });
}

/** Ink, 0 to 1 for each of the model's pixels, in the levels of the training images. */
export function withLevels({ values }, { height, width, channels }, { background, lighter, strength }) {
  const data = new Uint8Array(height * width * channels);
  values.forEach((value, place) => {
    const level = Math.round(255 * (background + (lighter ? 1 : -1) * strength * Math.min(value, 1)));
    data.fill(Math.min(Math.max(level, 0), 255), place * channels, (place + 1) * channels);
  });
  return { height, width, channels, data };
}

/** How strongly each of the model's pixels is inked, 0 to 1, as it would be in a training picture. */
function likeTraining(strokes, input, appearance) {
  const fine = fineness(input);
  const pen = appearance.drawn ? Math.max(appearance.stroke.median * input.height, LEAST_PEN) : OUTLINE * input.height;
  const scale = enlargement(bounds(strokes), pen, input, appearance);
  const lines = drawn(strokes, scale * fine, pen * fine);
  return reduced(placed(appearance.drawn ? lines : filled(lines), input, appearance, fine), fine);
}

/** The same where nothing is known of the training images: the canvas, smaller. */
function asOnCanvas(strokes, input) {
  const fine = fineness(input);
  const longest = Math.max(input.height, input.width) * fine;
  const canvas = empty(input.height * fine, input.width * fine);
  trace(canvas, strokes, ([x, y]) => [x * longest, y * longest], (PEN * longest) / 2);
  return reduced(canvas, fine);
}

export const fineness = ({ height, width }) => Math.max(1, Math.min(FINE, Math.floor(FINEST / Math.max(height, width))));

const empty = (height, width) => ({ height, width, values: new Float32Array(height * width) });

function bounds(strokes) {
  const points = strokes.flat();
  const [columns, rows] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, top] = [columns.reduce(least), rows.reduce(least)];
  return { left, top, across: columns.reduce(most) - left, down: rows.reduce(most) - top };
}

const least = (a, b) => Math.min(a, b);
const most = (a, b) => Math.max(a, b);

/** The model's pixels for a unit of what is drawn: by whichever extent the training images share, and so that it fits. */
export function enlargement({ across, down }, pen, { height, width }, appearance) {
  const extents = [
    [Math.max(down, across), Math.max(height, width), appearance.longest],
    [down, height, appearance.height],
    [across, width, appearance.width],
  ];
  const spread = ([, , extent]) => extent.three_quarters - extent.quarter;
  const [ours, side, shared] = extents.reduce((best, each) => (spread(each) < spread(best) ? each : best));
  const fitting = (length, share, whole) =>
    length > 0 ? Math.max(whole * Math.max(share, LEAST_STEADY) - pen, 0) / length : Infinity;
  return Math.min(
    fitting(ours, shared.median, side),
    fitting(down, appearance.height.high, height),
    fitting(across, appearance.width.high, width),
    MOST_ENLARGED * Math.max(height, width),
  );
}

/** The strokes alone, on a canvas that just holds them. */
function drawn(strokes, scale, pen) {
  const { left, top, across, down } = bounds(strokes);
  const body = empty(Math.ceil(down * scale + pen), Math.ceil(across * scale + pen));
  const [right, below] = [(body.width - across * scale) / 2, (body.height - down * scale) / 2];
  trace(body, strokes, ([x, y]) => [(x - left) * scale + right, (y - top) * scale + below], pen / 2);
  return body;
}

function trace(canvas, strokes, position, radius) {
  for (const stroke of strokes) {
    let last = position(stroke[0]);
    line(canvas, last, last, radius);
    for (const point of stroke.slice(1)) {
      const next = position(point);
      line(canvas, last, next, radius);
      last = next;
    }
  }
}

/** A round-ended line; a pixel is inked by how far its middle is within the edge. */
function line({ height, width, values }, [x0, y0], [x1, y1], radius) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length2 = dx * dx + dy * dy;
  const reach = radius + 0.5;
  const [first, last] = [Math.max(0, Math.floor(Math.min(y0, y1) - reach)), Math.min(height, Math.max(y0, y1) + reach)];
  const [from, to] = [Math.max(0, Math.floor(Math.min(x0, x1) - reach)), Math.min(width, Math.max(x0, x1) + reach)];
  for (let row = first; row < last; row++) {
    for (let column = from; column < to; column++) {
      const [px, py] = [column + 0.5 - x0, row + 0.5 - y0];
      const along = length2 ? Math.min(Math.max((px * dx + py * dy) / length2, 0), 1) : 0;
      const [awayX, awayY] = [px - along * dx, py - along * dy];
      const inked = reach - Math.sqrt(awayX * awayX + awayY * awayY);
      const place = row * width + column;
      if (inked > values[place]) values[place] = Math.min(inked, 1);
    }
  }
}

/** Everything that cannot be reached from outside without crossing a line. */
function filled({ height, width, values }) {
  const outside = new Uint8Array(height * width);
  const waiting = [];
  const visit = (row, column) => {
    const place = row * width + column;
    if (row < 0 || column < 0 || row >= height || column >= width || outside[place] || values[place] >= 0.5) return;
    outside[place] = 1;
    waiting.push(place);
  };
  for (let row = 0; row < height; row++) [0, width - 1].forEach((column) => visit(row, column));
  for (let column = 0; column < width; column++) [0, height - 1].forEach((row) => visit(row, column));
  while (waiting.length) {
    const place = waiting.pop();
    const [row, column] = [Math.floor(place / width), place % width];
    visit(row - 1, column);
    visit(row + 1, column);
    visit(row, column - 1);
    visit(row, column + 1);
  }
  return { height, width, values: values.map((value, place) => (outside[place] ? value : 1)) };
}

/** On an empty canvas of the model's size times `fine`, with its centre where the training images have theirs. */
export function placed(body, input, appearance, fine) {
  const canvas = empty(input.height * fine, input.width * fine);
  const byMass = appearance.centring === "mass";
  const [row, column] = byMass ? centreOfMass(body) : [body.height / 2, body.width / 2];
  const goal = byMass
    ? [appearance.mass_row.median, appearance.mass_column.median]
    : [appearance.box_row.median, appearance.box_column.median];
  const [down, right] = [Math.round(goal[0] * canvas.height - row), Math.round(goal[1] * canvas.width - column)];
  for (let y = Math.max(0, -down); y < Math.min(body.height, canvas.height - down); y++) {
    for (let x = Math.max(0, -right); x < Math.min(body.width, canvas.width - right); x++) {
      canvas.values[(y + down) * canvas.width + x + right] = body.values[y * body.width + x];
    }
  }
  return canvas;
}

function centreOfMass({ width, values }) {
  let [total, rows, columns] = [1e-6, 0, 0];
  values.forEach((value, place) => {
    total += value;
    rows += value * (Math.floor(place / width) + 0.5);
    columns += value * ((place % width) + 0.5);
  });
  return [rows / total, columns / total];
}

/** Means over blocks of `fine` by `fine`. */
export function reduced({ height, width, values }, fine) {
  const small = empty(height / fine, width / fine);
  values.forEach((value, place) => {
    const [row, column] = [Math.floor(place / width / fine), Math.floor((place % width) / fine)];
    small.values[row * small.width + column] += value / (fine * fine);
  });
  return small;
}
