// The panes of one image: of one shape, zoomed together, scrolled together, whatever their widths are.

import { find, make } from "./dom.js";

const [NARROWEST, WIDEST] = [0.6, 2]; // shapes of a pane, width by height: a longer picture leaves some of it empty

/** Connect the slider. The middle of what is seen stays in the middle. */
export function connectZoom() {
  find("zoom").addEventListener("input", () => {
    const [first] = panes();
    const middle = first && middleOf(first);
    setZoom(find("zoom").value);
    if (first) for (const pane of panes()) moveTo(pane, middle);
  });
}

/** Show the whole pictures. */
export function showWhole() {
  find("zoom").value = 1;
  setZoom(1);
}

/** A pane with a sheet in it. */
export function zoomed(sheet, name) {
  const pane = make("div", { className: "pane", tabIndex: 0, role: "group", ariaLabel: name }, sheet);
  pane.addEventListener("scroll", () => {
    const middle = middleOf(pane);
    for (const other of panes()) if (other !== pane) moveTo(other, middle);
  });
  return pane;
}

/** Let the panes have the shape of a picture, as far as it is no strip. */
export function setPaneShape([width, height]) {
  find("viewer-panes").style.setProperty("--pane-ratio", Math.min(WIDEST, Math.max(NARROWEST, width / height)));
}

function setZoom(factor) {
  find("viewer-panes").style.setProperty("--zoom", factor);
  document.querySelector("output[for=zoom]").textContent = `${factor} ×`;
}

const panes = () => [...find("viewer-panes").querySelectorAll(".pane")];

// As shares of the width and height of what scrolls.
const middleOf = (pane) => [
  (pane.scrollLeft + pane.clientWidth / 2) / pane.scrollWidth,
  (pane.scrollTop + pane.clientHeight / 2) / pane.scrollHeight,
];

// A pixel less or more is rounding: it would go to and fro between the panes.
function moveTo(pane, [x, y]) {
  const left = x * pane.scrollWidth - pane.clientWidth / 2;
  const top = y * pane.scrollHeight - pane.clientHeight / 2;
  if (Math.abs(left - pane.scrollLeft) > 1 || Math.abs(top - pane.scrollTop) > 1) pane.scrollTo(left, top);
}
