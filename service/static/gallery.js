// The gallery: any number of images, of which only those near the window are in the document.
//
// All tiles are of one size. The list is as high as all of them would be, and those that are in it are pushed down to
// their place. One tile can be reached by Tab; the arrow keys move from tile to tile.

import { desk } from "./desk.js";
import { find, oncePerFrame } from "./dom.js";
import { makeTile, showItem } from "./tile.js";
import { count } from "./verdicts.js";

const OVERSCAN = 2; // rows above and below the window

let items = [];
let current = 0; // the index of the tile that Tab reaches
const tiles = new Map(); // item id → element

/** Connect the gallery; `open(index, items)` is called for a tile that is pressed. */
export function connectGallery(open) {
  const render = oncePerFrame(renderNow);
  desk.addEventListener("change", render);
  window.addEventListener("scroll", render, { passive: true });
  new ResizeObserver(render).observe(find("gallery"));
  find("tiles").addEventListener("click", ({ target }) => {
    const index = indexOf(target);
    if (index < 0) return;
    current = index;
    open(index, items);
  });
  find("tiles").addEventListener("keydown", moveByKey);
}

/** Let this item's tile be the one that has the focus, wherever it lies. */
export function focusItem(item) {
  const index = items.indexOf(item);
  if (index >= 0) moveTo(index);
}

function renderNow() {
  items = desk.arranged();
  current = Math.max(0, Math.min(current, items.length - 1));
  const isAll = items.length === desk.items.length;
  find("shown").textContent = isAll ? "" : `${count(items.length)} of ${count(desk.items.length)} shown`;
  const list = find("tiles");
  list.classList.toggle("rows", desk.models.length > 1);
  list.classList.toggle("labelled", desk.items.some(({ label }) => label));
  const isOther = Number(list.dataset.models) !== desk.models.length;
  list.dataset.models = desk.models.length;
  if (items.length && (isOther || !list.childElementCount)) place(list, 0, 1); // one to measure by
  const { columns, rowHeight, top } = measure(list);
  const numRows = Math.ceil(items.length / columns);
  const first = Math.max(0, Math.floor(-top / rowHeight) - OVERSCAN);
  const last = Math.min(numRows, Math.ceil((window.innerHeight - top) / rowHeight) + OVERSCAN);
  find("gallery").style.height = `${numRows * rowHeight}px`;
  list.style.transform = `translateY(${Math.min(first, numRows) * rowHeight}px)`;
  place(list, first * columns, Math.min(items.length, last * columns));
}

function measure(list) {
  const style = getComputedStyle(list);
  const rowHeight = (list.firstElementChild?.offsetHeight ?? 0) + parseFloat(style.rowGap);
  const columns = style.gridTemplateColumns.split(" ").length;
  return { columns, rowHeight, top: find("gallery").getBoundingClientRect().top };
}

// Tiles stay the same elements while they are near, so that the focus stays too.
function place(list, start, end) {
  const wanted = items.slice(start, end);
  const ids = new Set(wanted.map(({ id }) => id));
  for (const [id, tile] of tiles) {
    if (!ids.has(id)) {
      tile.remove();
      tiles.delete(id);
    }
  }
  wanted.forEach((item, i) => {
    if (!tiles.has(item.id)) tiles.set(item.id, makeTile(item));
    const tile = tiles.get(item.id);
    if (list.children[i] !== tile) list.insertBefore(tile, list.children[i] ?? null);
    tile.ariaPosInSet = start + i + 1;
    tile.ariaSetSize = items.length;
    tile.firstElementChild.tabIndex = start + i === current ? 0 : -1;
    showItem(tile, item);
  });
}

function moveByKey(event) {
  const { columns } = measure(find("tiles"));
  const along = { ArrowLeft: -1, ArrowRight: 1, Home: -current, End: items.length };
  const step = { ...along, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  moveTo(current + step);
}

function moveTo(index) {
  current = Math.max(0, Math.min(index, items.length - 1));
  const { columns, rowHeight, top } = measure(find("tiles"));
  const above = top + Math.floor(current / columns) * rowHeight;
  const room = window.innerHeight - rowHeight;
  if (above < 0 || above > room) window.scrollBy(0, above - room / 2);
  renderNow();
  tiles.get(items[current]?.id)?.firstElementChild.focus({ preventScroll: true });
}

const indexOf = (target) => items.findIndex(({ id }) => String(id) === target.closest("li")?.dataset.id);
