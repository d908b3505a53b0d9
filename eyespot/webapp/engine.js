// What answers: here, the REST API of `eyespot serve`. local/engine.js offers the same functions without a server.
//
// A picture is {pixels} (as the model takes it) or {file} (any picture, which is brought to the model's size there).

import { fromBase64, toPng } from "./pixels.js";
import { Trouble } from "./trouble.js";

const PATIENCE = 30_000; // milliseconds
const REFUSED = 401;
const token = { value: "" };

export const authorize = (value) => Object.assign(token, { value });

export const remark = null; // what a user should know of how photographs are read; a name in words.js

export const models = async () => (await asked("models")).json().then((found) => found.models);

export const card = async (model) => (await asked(`${path(model)}/card`)).text();

export async function examples(model, count) {
  const { examples: found } = await (await asked(`${path(model)}/examples?count=${count}`)).json();
  return Promise.all(found.map(async ({ label, picture }) => ({ label, pixels: await pixelsOf(picture, model) })));
}

/** {label, probability, top, seen: pixels} and, where they are known: note, box, rejected. */
export async function predict(model, picture, top) {
  const seen = picture.file ? "&seen=true" : "&as_is=true";
  const found = await posted(model, `predict?top=${top}&reject=${model.rejects}${seen}`, picture);
  const [answer] = (await found.json()).predictions;
  return { ...answer, seen: picture.file ? await pixelsOf(answer.seen, model) : picture.pixels };
}

/** {label, map: rows of numbers}: how much each place speaks for the label. */
export async function occlusion(model, pixels, label) {
  return (await posted(model, `occlusion?as_is=true&label=${encodeURIComponent(label)}`, { pixels })).json();
}

/** Keeps a picture with its right label; says where: {saved, folder}. */
export async function save(model, pixels, label) {
  return (await posted(model, `corrections?label=${encodeURIComponent(label)}`, { pixels })).json();
}

const path = (model) => `models/${encodeURIComponent(model.name)}`;

const pixelsOf = (text, model) => fromBase64(text, model.input.channels);

async function posted(model, what, { file, pixels }) {
  const body = file ?? toPng(pixels);
  const type = body.type.startsWith("image/") ? body.type : "application/octet-stream";
  return asked(`${path(model)}/${what}`, { method: "POST", body, headers: { "Content-Type": type } });
}

async function asked(what, { headers = {}, ...request } = {}) {
  const authorized = token.value ? { ...headers, Authorization: `Bearer ${token.value}` } : headers;
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(`v1/${what}`, { ...request, headers: authorized, signal }).catch(() => {
    throw new Trouble("gone");
  });
  if (answer.ok) return answer;
  const { detail, title } = await answer.json().catch(() => ({}));
  if (answer.status === REFUSED) throw token.value ? new Trouble("text", { detail }) : new Trouble("locked");
  throw new Trouble("text", { detail: detail ?? title ?? `${answer.status} ${answer.statusText}` });
}
