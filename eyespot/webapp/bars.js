// A bar for each class: all of them in their own order where they are few, else the most probable ones.

import { percent } from "./words.js";

const FEW = 10; // classes
const SHOWN = 8; // of many

export const shownOf = (model) => (model.classes.length <= FEW ? model.classes.length : SHOWN);

/** Empty bars, for a model that has not answered yet. */
export function emptyBars(list, model) {
  list.replaceChildren(...model.classes.slice(0, shownOf(model)).map(row));
}

/** The bars of an answer. */
export function fillBars(list, model, top) {
  const known = new Map(top.map((one) => [one.label, one.probability]));
  const order = model.classes.length <= FEW ? model.classes : top.map((one) => one.label);
  order.forEach((name, place) => {
    const [called, track, number] = list.children[place].children;
    called.textContent = name;
    track.firstChild.style.width = `${100 * known.get(name)}%`;
    number.textContent = percent(known.get(name));
    list.children[place].classList.toggle("best", name === top[0].label);
  });
}

function row(name) {
  const item = document.createElement("li");
  const [called, track, number] = ["span", "span", "span"].map((kind) => document.createElement(kind));
  called.textContent = name;
  track.className = "track";
  track.append(document.createElement("span"));
  number.className = "number";
  item.append(called, track, number);
  return item;
}
