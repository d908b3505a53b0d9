"use strict";
// Opens the images of a cell, and the folded section that a link leads to. Texts are set as text, never as markup.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const cells = read("cells"), words = read("words");
const dialog = document.getElementById("pictures");
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function open(cell) {
  document.getElementById("pictures-title").textContent = fill(cell.label === cell.predict ? words.right : words.title, cell);
  const more = document.getElementById("pictures-more");
  more.textContent = cell.pictures.length < cell.n ? fill(words.more, { shown: cell.pictures.length }) : "";
  document.getElementById("pictures-grid").replaceChildren(...cell.pictures.map(([source, description]) => {
    const figure = document.createElement("figure"), image = new Image(), caption = document.createElement("figcaption");
    image.src = source;
    image.alt = description;
    image.className = "pixels";
    caption.textContent = description;
    figure.append(image, caption);
    return figure;
  }));
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-cell]");
  if (button) open(cells[button.dataset.cell]);
  if (event.target === dialog || event.target.closest("#close")) dialog.close();
});

function unfold() {
  const section = location.hash && document.getElementById(location.hash.slice(1));
  const folded = section && section.querySelector(":scope > details");
  if (folded) folded.open = true;
}

window.addEventListener("hashchange", unfold);
unfold();
