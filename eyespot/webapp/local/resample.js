// Pictures in other sizes, as Pillow makes them: its 8-bit arithmetic is followed step by step (Resample.c, Reduce.c and
// ImageOps.fit of github.com/python-pillow/Pillow). A picture here is {height, width, channels, data}, as in strokes.js.

const BITS = 22; // of a weight's fraction
const LOBES = 3; // of Lanczos's filter
const GAP = 3; // a picture is first reduced by means over blocks to no less than so many times its last size

/** A picture at a model's size: what `fitted` of eyespot/data/picture.py gives. */
export function fitted(picture, { height, width, channels }, resize) {
  const plain = inChannels(picture, channels);
  if (plain.height === height && plain.width === width) return plain;
  if (resize === "crop") return cropped(plain, height, width);
  if (resize === "squash") return squashed(plain, height, width);
  return padded(plain, height, width);
}

/** Pillow's grey, and a grey picture's in colour. */
export function inChannels(picture, channels) {
  if (picture.channels === channels) return picture;
  const count = picture.height * picture.width;
  const data = new Uint8Array(count * channels);
  for (let place = 0; place < count; place++) {
    if (channels === 1) {
      const [red, green, blue] = picture.data.subarray(place * 3, place * 3 + 3);
      data[place] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    } else {
      data.fill(picture.data[place], place * channels, (place + 1) * channels);
    }
  }
  return { ...picture, channels, data };
}

function cropped(picture, height, width) {
  const ratio = width / height;
  const wide = picture.width / picture.height >= ratio;
  const across = wide ? ratio * picture.height : picture.width;
  const down = wide ? picture.height : picture.width / ratio;
  const [left, top] = [(picture.width - across) / 2, (picture.height - down) / 2];
  return resampled(picture, height, width, { top, bottom: top + down, left, right: left + across });
}

/** Changes the shape. */
export function squashed(picture, height, width) {
  const across = Math.max(1, Math.floor(picture.width / width / GAP));
  const down = Math.max(1, Math.floor(picture.height / height / GAP));
  const small = across > 1 || down > 1 ? blocks(picture, down, across) : picture;
  return resampled(small, height, width, { top: 0, bottom: picture.height / down, left: 0, right: picture.width / across });
}

function padded(picture, height, width) {
  const scale = Math.min(width / picture.width, height / picture.height);
  const [down, across] = [picture.height, picture.width].map((side) => Math.max(1, evenRound(side * scale)));
  const inner = squashed(picture, down, across);
  const { channels } = picture;
  const data = new Uint8Array(height * width * channels);
  const edge = edgeColour(picture);
  for (let place = 0; place < data.length; place++) data[place] = edge[place % channels];
  const [top, left] = [Math.floor((height - down) / 2), Math.floor((width - across) / 2)];
  for (let row = 0; row < down; row++) {
    const line = inner.data.subarray(row * across * channels, (row + 1) * across * channels);
    data.set(line, ((row + top) * width + left) * channels);
  }
  return { height, width, channels, data };
}

function edgeColour({ height, width, channels, data }) {
  const sums = new Array(channels).fill(0);
  const add = (row, column) => sums.forEach((_, channel) => (sums[channel] += data[(row * width + column) * channels + channel]));
  for (let column = 0; column < width; column++) [0, height - 1].forEach((row) => add(row, column));
  for (let row = 0; row < height; row++) [0, width - 1].forEach((column) => add(row, column));
  return sums.map((sum) => evenRound(sum / (2 * (height + width))));
}

/** Python's and NumPy's: halves to the even neighbour. */
export function evenRound(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** Means over blocks; those at the far edges may be smaller. */
function blocks({ height, width, channels, data }, down, across) {
  const [rows, columns] = [Math.ceil(height / down), Math.ceil(width / across)];
  const sums = new Float64Array(rows * columns * channels);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const to = (Math.floor(row / down) * columns + Math.floor(column / across)) * channels;
      const from = (row * width + column) * channels;
      for (let channel = 0; channel < channels; channel++) sums[to + channel] += data[from + channel];
    }
  }
  const small = new Uint8Array(sums.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const count = Math.min(down, height - row * down) * Math.min(across, width - column * across);
      const multiplier = Math.floor(2 ** 24 / count); // as Reduce.c divides
      for (let channel = 0; channel < channels; channel++) {
        const place = (row * columns + column) * channels + channel;
        small[place] = Math.floor(((sums[place] + Math.floor(count / 2)) * multiplier) / 2 ** 24);
      }
    }
  }
  return { height: rows, width: columns, channels, data: small };
}

/** Lanczos over a part of a picture, along rows and along columns, with 8 bits between. */
function resampled(picture, height, width, { top, bottom, left, right }) {
  const down = (given) => (whole(top, bottom, given.height, height) ? given : passedDown(given, height, top, bottom));
  const along = (given) => (whole(left, right, given.width, width) ? given : passed(given, width, left, right));
  // As Pillow 13 does, found by trying it; earlier versions always begin along rows, and differ by a level.
  const high = picture.height > height && picture.height - height > 2 * (picture.width - width);
  return high ? along(down(picture)) : down(along(picture));
}

const whole = (from, to, side, wanted) => from === 0 && to === side && side === wanted;

const passedDown = (picture, rows, from, to) => transposed(passed(transposed(picture), rows, from, to));

function transposed({ height, width, channels, data }) {
  const turned = new Uint8Array(data.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const [from, to] = [(row * width + column) * channels, (column * height + row) * channels];
      for (let channel = 0; channel < channels; channel++) turned[to + channel] = data[from + channel];
    }
  }
  return { height: width, width: height, channels, data: turned };
}

function passed({ height, width, channels, data }, columns, from, to) {
  const result = new Uint8Array(height * columns * channels);
  const taps = weights(width, columns, from, to);
  for (let row = 0; row < height; row++) {
    taps.forEach(({ first, values }, column) => {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 2 ** (BITS - 1);
        values.forEach((value, tap) => (sum += value * data[(row * width + first + tap) * channels + channel]));
        result[(row * columns + column) * channels + channel] = Math.min(Math.max(Math.floor(sum / 2 ** BITS), 0), 255);
      }
    });
  }
  return { height, width: columns, channels, data: result };
}

/** For each pixel of the result, which pixels it is made of and how much of each, in units of 2 ** -BITS. */
function weights(length, count, from, to) {
  const scale = (to - from) / count;
  const stretch = Math.max(scale, 1);
  const reach = LOBES * stretch;
  return Array.from({ length: count }, (_, place) => {
    const middle = from + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - reach + 0.5));
    const last = Math.min(length, Math.trunc(middle + reach + 0.5));
    const raw = Array.from({ length: last - first }, (__, tap) => lanczos((tap + first - middle + 0.5) / stretch));
    const total = raw.reduce((sum, value) => sum + value, 0);
    const values = raw.map((value) => value / total).map((value) => Math.trunc(value * 2 ** BITS + (value < 0 ? -0.5 : 0.5)));
    return { first, values };
  });
}

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
const lanczos = (x) => (x >= -LOBES && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0);
