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

/** An element of a drawing; its attributes are as SVG names them. */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Put names and values into a `dl`. */
export function list(target, pairs) {
  target.replaceChildren(...pairs.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
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

/** Let the browser save `content` as a file. */
export function save(content, name) {
  const url = URL.createObjectURL(content);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
