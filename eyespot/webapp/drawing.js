// The drawing area: strokes by mouse, pen, finger or keyboard, in shares of the canvas's longer side.

import { PEN } from "./strokes.js";

const STEP = 1 / 40; // by which an arrow key moves the pen
const FAR = 4; // times, with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CURSOR = 7; // radius, in pixels of the screen

/**
 * Makes a canvas one that can be drawn on, by pointer and keyboard.
 *
 * changed() is called after each change, penMoved(down) when a key lowers or lifts the pen.
 */
export function drawing(canvas, changed, penMoved) {
  const strokes = [];
  const cursor = { x: 0.5, y: 0.5, down: false, seen: false };
  const shown = { picture: null, box: null, ratio: 1 };
  let pointer = null;

  const sides = () => [Math.min(1, shown.ratio), Math.min(1, 1 / shown.ratio)];

  function begin(point) {
    shown.picture = null;
    strokes.push([point]);
    update();
  }

  function extend(points) {
    strokes.at(-1).push(...points);
    update();
  }

  function update() {
    repaint();
    changed();
  }

  function lift() {
    cursor.down = false;
    pointer = null;
  }

  function repaint() {
    const { width, height } = canvas.getBoundingClientRect();
    const density = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    if (shown.picture) paintPicture(context, shown, style);
    const longest = Math.max(canvas.width, canvas.height);
    Object.assign(context, { lineWidth: PEN * longest, lineCap: "round", lineJoin: "round", strokeStyle: style.color });
    for (const stroke of strokes) {
      context.beginPath();
      for (const [x, y] of stroke) context.lineTo(x * longest, y * longest);
      if (stroke.length === 1) context.lineTo(stroke[0][0] * longest, stroke[0][1] * longest);
      context.stroke();
    }
    if (cursor.seen) paintCursor(context, longest, density, style);
  }

  function paintCursor(context, longest, density, style) {
    context.beginPath();
    context.arc(cursor.x * longest, cursor.y * longest, CURSOR * density, 0, 2 * Math.PI);
    Object.assign(context, { lineWidth: 2 * density, strokeStyle: style.outlineColor, fillStyle: style.outlineColor });
    context.stroke();
    if (cursor.down) context.fill();
  }

  function pointOf(event) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const longest = Math.max(width, height);
    return [(event.clientX - left) / longest, (event.clientY - top) / longest];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    cursor.seen = cursor.down = false;
    pointer = event.pointerId;
    begin(pointOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const between = event.getCoalescedEvents?.() ?? [];
    extend((between.length ? between : [event]).map(pointOf));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => event.pointerId === pointer && lift());
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow) move(arrow, event.shiftKey ? FAR * STEP : STEP);
    else if (event.key === " " || event.key === "Enter") toggle();
    else if (event.key === "Backspace") self.undo();
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("focus", () => {
    cursor.seen = canvas.matches(":focus-visible");
    repaint();
  });
  canvas.addEventListener("blur", () => {
    cursor.seen = cursor.down = false;
    repaint();
  });

  function move([right, down], step) {
    const [across, high] = sides();
    cursor.seen = true;
    cursor.x = Math.min(Math.max(cursor.x + right * step, 0), across);
    cursor.y = Math.min(Math.max(cursor.y + down * step, 0), high);
    if (cursor.down) extend([[cursor.x, cursor.y]]);
    else repaint();
  }

  function toggle() {
    cursor.seen = true;
    cursor.down = !cursor.down;
    if (cursor.down) begin([cursor.x, cursor.y]);
    else repaint();
    penMoved(cursor.down);
  }

  const self = {
    strokes,
    repaint,
    /** The shape of the model's pictures. */
    reshape({ height, width }) {
      shown.ratio = width / height;
      canvas.style.aspectRatio = `${width} / ${height}`;
      [cursor.x, cursor.y] = sides().map((side) => side / 2);
      repaint();
    },
    undo() {
      lift();
      strokes.pop();
      update();
    },
    /** Takes everything off, and shows a picture (what drawImage takes) instead, if there is one. */
    show(picture = null) {
      lift();
      strokes.length = 0;
      Object.assign(shown, { picture, box: null });
      repaint();
    },
    /** Frames a part of the picture that is shown: [left, top, right, bottom] in its pixels. */
    frame(box) {
      shown.box = box;
      repaint();
    },
  };
  new ResizeObserver(repaint).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  return self;
}

/** As large as fits; small pictures with sharp pixels. */
function paintPicture(context, { picture, box }, style) {
  const { width, height } = context.canvas;
  const scale = Math.min(width / picture.width, height / picture.height);
  const [left, top] = [(width - picture.width * scale) / 2, (height - picture.height * scale) / 2];
  context.imageSmoothingEnabled = scale < 2;
  context.drawImage(picture, left, top, picture.width * scale, picture.height * scale);
  if (!box) return;
  Object.assign(context, { strokeStyle: style.outlineColor, lineWidth: Math.max(2, width / 150) });
  const [from, down, to, below] = box.map((side) => side * scale);
  context.strokeRect(left + from, top + down, to - from, below - down);
}
