// What answers in a web export: the model itself, run in the browser by ONNX Runtime Web. The same functions as the
// engine.js that asks a server, in whose place this one is put.

import * as ort from "./runtime/ort.wasm.bundle.min.mjs";
import { occlusion as occluded } from "./local/occlusion.js";
import { read } from "./local/photograph.js";
import { decoded, fromBase64, toPng } from "./pixels.js";
import { Trouble } from "./trouble.js";

const FOLDER = new URL("../", import.meta.url); // of the export
let session = null;

// One thread: more need headers that plain hosts of files do not send.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: new URL("runtime/ort-wasm-simd-threaded.wasm", import.meta.url).href };

export const remark = "simple";

export const authorize = () => {};

export async function models() {
  const { card: cardText, ...model } = await (await fetched("model.json")).json();
  opened().catch(() => {}); // already loading while the first stroke is drawn; its trouble is told with the answer
  return [{ ...model, cardText, rejects: false, corrections: true, card: Boolean(cardText) }];
}

export const card = async (model) => model.cardText;

export async function examples(model, count) {
  const found = await (await fetched("examples.json")).json();
  const some = found.examples.slice(0, count);
  return Promise.all(some.map(async ({ label, picture }) => ({ label, pixels: await fromBase64(picture, model.input.channels) })));
}

export async function predict(model, { file, pixels }, top) {
  const { pixels: seen, found } = file ? await readFile(file, model) : { pixels, found: true };
  const { probabilities } = await answers(model, [seen.data]);
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b).slice(0, top);
  const best = order.map((index) => ({ label: model.classes[index], probability: probabilities[index] }));
  return { ...best[0], top: best, seen, remark: found ? null : "noObject" };
}

export async function occlusion(model, pixels, label) {
  const index = model.classes.indexOf(label);
  const ofClass = async (pictures) => {
    const { logits } = await answers(model, pictures);
    return pictures.map((_, row) => logits[row * model.classes.length + index]);
  };
  return { label, map: await occluded(pixels, model.appearance, ofClass) };
}

/** There is nowhere to keep it: it is downloaded, named by its label. */
export async function save(model, pixels, label) {
  const saved = `${label.replace(/[^\p{L}\p{N}]+/gu, "-")}-${Date.now()}.png`;
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(toPng(pixels)), download: saved });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  return { saved };
}

/** What the model gives for pictures at its size, each its data: {logits, probabilities}, one row after another. */
async function answers({ input: { height, width, channels } }, pictures) {
  const running = await opened();
  const data = new Uint8Array(pictures.length * height * width * channels);
  pictures.forEach((picture, row) => data.set(picture, row * picture.length));
  const tensor = new ort.Tensor("uint8", data, [pictures.length, height, width, channels]);
  const { logits, probabilities } = await running.run({ [running.inputNames[0]]: tensor }, ["logits", "probabilities"]);
  return { logits: logits.data, probabilities: probabilities.data };
}

async function readFile(file, model) {
  const { height, width, data } = await decoded(file).catch(() => {
    throw new Trouble("unreadable", { name: file.name });
  });
  return read({ height, width, channels: 3, data: data.filter((_, place) => place % 4 < 3) }, model);
}

function opened() {
  session ??= load();
  return session;
}

async function load() {
  try {
    const model = new Uint8Array(await (await fetched("model.onnx")).arrayBuffer());
    return await ort.InferenceSession.create(model);
  } catch (error) {
    session = null; // the next stroke tries again
    throw error instanceof Trouble ? error : new Trouble("failed", { detail: error.message });
  }
}

async function fetched(name) {
  const answer = await fetch(new URL(name, FOLDER)).catch(() => null);
  if (!answer?.ok) throw new Trouble("missing", { name });
  return answer;
}
