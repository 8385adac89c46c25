// Elements are built by calls and texts are set as text: what comes from files and answers is never read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const find = (id) => document.getElementById(id);

/** An element: `make("p", { className: "faint" }, "text", child)`. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** An element with a name that somebody gave: as it is, in its own direction, and whole in a tooltip. */
export const named = (tag, name) => showName(make(tag, { className: "name", dir: "auto" }), name);

/** Put such a name into an element that `named` could have made. */
export function showName(element, name) {
  if (element.textContent !== name) Object.assign(element, { textContent: name, title: name });
  return element;
}

/** A row of a table: what its values are called, and a cell for each. */
export function makeRow(name, values) {
  return make("tr", {}, make("th", { scope: "row" }, name), ...values.map((value) => make("td", {}, value)));
}

/** Put a text into an element that is read aloud; the same again is not read again. */
export function say(id, text) {
  if (find(id).textContent !== text) find(id).textContent = text;
}

/** An element of a drawing; its attributes are as SVG names them. */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Call `render` at most once a frame, however often the returned function is called. */
export function oncePerFrame(render) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      render();
    });
  };
}

/** Give the keys to an element that the next frame will show. */
export const focusSoon = (id) => requestAnimationFrame(() => find(id).focus());

/** Let the browser save `content` as a file. */
export function save(content, name) {
  const url = URL.createObjectURL(content);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
