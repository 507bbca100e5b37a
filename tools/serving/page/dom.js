// What the pages share to build their elements. Text goes in as text, never as HTML.
"use strict";

const at = (selector, inside = document) => inside.querySelector(selector);
const percent = (fraction) => (100 * fraction).toFixed(1) + " %";

function made(name, properties = {}, children = []) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// Of a tiny image, as of an old digit, the pixels are shown and no blur.
function sharp(image) {
  image.addEventListener("load", () => image.classList.toggle("tiny", image.naturalWidth < 64));
  return image;
}
