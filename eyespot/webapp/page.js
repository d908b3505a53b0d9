// The interface: a picture comes in by one of several ways, and the answer of the latest one is shown.

import * as engine from "./engine.js";
import { emptyBars, fillBars, shownOf } from "./bars.js";
import { drawing } from "./drawing.js";
import { paint, paintMap } from "./pixels.js";
import { rendered } from "./strokes.js";
import { Trouble } from "./trouble.js";
import { hush, language, percent, say, speak, tell, translate } from "./words.js";

const EXAMPLES = 24;
const PATIENT = 400; // milliseconds until waiting is mentioned
const SETTLED = 900; // milliseconds without a change until an answer is spoken

const $ = (id) => document.getElementById(id);
// `turn` goes up when everything before is out of date; `answer` is the one on show, with the pixels it is of.
const state = { models: [], model: null, turn: 0, answer: null, again: null };
const timers = { spoken: 0 };
const pad = drawing($("pad"), drawn, (down) => tell($("spoken"), down ? "penDown" : "penUp"));
const want = latestOnly(ask, () => ($("result").ariaBusy = "false"));

async function start() {
  const models = await engine.models().catch(complain);
  $("starting").hidden = true;
  if (!models) return;
  calm();
  state.models = models;
  $("models").replaceChildren(...models.map(({ name }) => new Option(name)));
  $("model").hidden = models.length === 1;
  $("only").textContent = models.length === 1 ? models[0].name : "";
  $("page").hidden = false;
  choose(models[0]);
}

function choose(model) {
  state.model = model;
  document.title = `${model.name} – eyespot`;
  const [pick] = $("right").options.length ? $("right").options : [new Option(say("pick"), "")];
  pick.dataset.say = "pick";
  $("right").replaceChildren(pick, ...model.classes.map((name) => new Option(name)));
  $("correction").hidden = !model.corrections;
  Object.assign($("card"), { hidden: !model.card, open: false });
  $("card-text").textContent = "";
  $("seen").style.aspectRatio = `${model.input.width} / ${model.input.height}`;
  pad.reshape(model.input);
  reset();
  if (pad.strokes.length) drawn();
  showExamples(model);
}

/** As before anything was drawn. */
function reset() {
  state.turn += 1;
  state.answer = state.again = null;
  emptyBars($("bars"), state.model);
  $("result").classList.add("empty");
  $("label").textContent = "";
  tell($("share"), "nothing");
  ["note", "spoken", "saved", "about-picture"].forEach((id) => hush($(id)));
  clearTimeout(timers.spoken);
  $("seen").width = $("seen").height = 0;
  tell($("seen"), "seen", {}, "ariaLabel");
  withoutMap();
  $("explain").disabled = $("save").disabled = true;
  $("right").value = "";
  pressed(null);
}

function drawn() {
  const since = performance.now();
  const empty = !pad.strokes.length;
  $("paper").classList.toggle("used", !empty);
  if (empty) return reset();
  if (!state.again?.strokes) reset();
  look({ strokes: pad.strokes }, since);
}

function look(picture, since = performance.now()) {
  state.again = picture;
  $("result").ariaBusy = "true";
  want({ picture, since, turn: state.turn, model: state.model });
}

async function ask({ picture, since, turn, model }) {
  if (turn !== state.turn) return;
  const waiting = setTimeout(() => turn === state.turn && !state.answer && tell($("share"), "waiting"), PATIENT);
  try {
    const given = picture.strokes ? { pixels: rendered(picture.strokes, model) } : picture;
    const answer = await engine.predict(model, given, shownOf(model));
    if (turn !== state.turn) return;
    calm();
    show(answer);
    performance.clearMeasures();
    performance.measure("stroke to bars", { start: since });
  } catch (trouble) {
    if (turn === state.turn) complain(trouble);
  } finally {
    clearTimeout(waiting);
  }
}

function show(answer) {
  state.answer = answer;
  const [best] = answer.top;
  const values = { label: best.label, share: percent(best.probability) };
  fillBars($("bars"), state.model, answer.top);
  $("result").classList.remove("empty");
  $("label").textContent = best.label;
  tell($("share"), "text", { detail: values.share });
  const note = answer.rejected ? "odd" : (answer.remark ?? "text");
  tell($("note"), note, { detail: answer.note ?? "" });
  paint($("seen"), answer.seen);
  tell($("seen"), "seenSize", answer.seen, "ariaLabel");
  if (answer.box) pad.frame(answer.box);
  withoutMap();
  $("explain").disabled = false;
  $("save").disabled = !$("right").value;
  clearTimeout(timers.spoken);
  timers.spoken = setTimeout(() => tell($("spoken"), "spoken", values), SETTLED);
}

function withoutMap() {
  tell($("explain"), "explain");
  hush($("legend"));
  delete $("explain").dataset.map;
  if (state.answer) paint($("seen"), state.answer.seen);
}

async function explain() {
  const { answer, model } = state;
  if ($("explain").dataset.map) return withoutMap();
  tell($("explain"), "waiting");
  try {
    const { map } = await engine.occlusion(model, answer.seen, answer.top[0].label);
    if (answer !== state.answer) return;
    calm();
    paintMap($("seen"), answer.seen, map);
    $("explain").dataset.map = "shown";
    tell($("explain"), "plainly");
    tell($("legend"), "explained", { label: answer.top[0].label });
  } catch (trouble) {
    withoutMap();
    complain(trouble);
  }
}

async function correct(event) {
  event.preventDefault();
  const { answer, model } = state;
  if (!answer || !$("right").value) return;
  try {
    const kept = await engine.save(model, answer.seen, $("right").value);
    calm();
    tell($("saved"), kept.folder ? "saved" : "downloaded", kept);
  } catch (trouble) {
    complain(trouble);
  }
}

/** A picture that was chosen, photographed, dropped or pasted. */
async function take(file) {
  if (!file) return;
  const bitmap = await createImageBitmap(file).catch(() => null); // one that only the server can open is not shown
  pad.show(bitmap);
  reset();
  $("paper").classList.add("used");
  tell($("about-picture"), engine.remark ?? "text", { detail: file.name });
  look({ file });
}

async function showExamples(model) {
  const found = await engine.examples(model, EXAMPLES).catch(() => []);
  if (model !== state.model) return;
  $("from-test").hidden = !found.length;
  $("examples").replaceChildren(...found.map((example) => exampleButton(example)));
}

function exampleButton({ label, pixels }) {
  const [button, canvas] = [document.createElement("button"), document.createElement("canvas")];
  Object.assign(button, { type: "button", title: label });
  button.append(canvas);
  paint(canvas, pixels);
  tell(button, "example", { label }, "ariaLabel");
  button.addEventListener("click", () => {
    pad.show(canvas);
    reset();
    pressed(button);
    $("paper").classList.add("used");
    tell($("about-picture"), "itsLabel", { label });
    look({ pixels });
  });
  return button;
}

function pressed(button) {
  for (const each of $("examples").children) each.ariaPressed = String(each === button);
}

async function showCard() {
  if (!$("card").open || $("card-text").textContent) return;
  const text = await engine.card(state.model).catch(complain);
  Object.assign($("card-text"), { textContent: text ?? "", lang: cardLanguage(text ?? "") });
}

// A card is in the language of its headings, whatever language its model's classes are named in.
function cardLanguage(text) {
  return /^## .*\p{Script=Han}/mu.test(text) ? "zh" : "en";
}

function complain(trouble) {
  const known = trouble instanceof Trouble;
  if (!known) console.error(trouble);
  tell($("trouble"), known ? trouble.name : "text", known ? trouble.values : { detail: String(trouble) });
  $("trouble").hidden = false;
  if (trouble.name !== "locked") return;
  $("login").hidden = false;
  $("token").focus();
}

function calm() {
  $("trouble").hidden = $("login").hidden = true;
  hush($("trouble"));
}

function enter(event) {
  event.preventDefault();
  engine.authorize($("token").value);
  if (!state.model) start();
  else if (state.again) look(state.again);
  else calm();
}

function inLanguage(wanted) {
  if (wanted) speak(wanted);
  translate();
  Object.assign($("language"), language() === "zh" ? { textContent: "English", lang: "en" } : { textContent: "中文", lang: "zh" });
}

/** Does one job after another, and of those that come meanwhile only the last; then says that all is done. */
function latestOnly(work, done) {
  let [busy, next] = [false, null];
  return async (job) => {
    next = job;
    if (busy) return;
    busy = true;
    while (next) {
      const now = next;
      next = null;
      await work(now);
    }
    busy = false;
    done();
  };
}

$("models").addEventListener("change", () => choose(state.models[$("models").selectedIndex]));
$("language").addEventListener("click", () => inLanguage(language() === "zh" ? "en" : "zh"));
$("undo").addEventListener("click", pad.undo);
$("clear").addEventListener("click", () => {
  pad.show();
  drawn();
});
$("explain").addEventListener("click", explain);
$("correct").addEventListener("submit", correct);
$("right").addEventListener("change", () => ($("save").disabled = !state.answer || !$("right").value));
$("login").addEventListener("submit", enter);
$("card").addEventListener("toggle", showCard);
for (const [button, input] of [["choose", "file"], ["photograph", "camera"]]) {
  $(button).addEventListener("click", () => $(input).click());
  $(input).addEventListener("change", () => {
    take($(input).files[0]);
    $(input).value = "";
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData?.files[0]));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("pad").classList.add("over");
});
document.addEventListener("dragleave", () => $("pad").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("pad").classList.remove("over");
  take(event.dataTransfer.files[0]);
});

$("photograph").hidden = navigator.maxTouchPoints === 0; // elsewhere it would only choose a file
inLanguage();
start();
