// How the gallery is looked at: filters, order, the strength of heatmaps; and its export.

import { csvOf } from "./csv.js";
import { desk } from "./desk.js";
import { find, oncePerFrame, save } from "./dom.js";

/** Connect the tools. */
export function connectTools() {
  find("tools").addEventListener("submit", (event) => event.preventDefault());
  find("tools").addEventListener("input", () => {
    desk.look({ show: find("show").value, sort: find("sort").value });
    desk.look({ minScore: numberIn("min-score", -Infinity), maxScore: numberIn("max-score", Infinity) });
  });
  for (const id of ["opacity", "viewer-opacity"]) find(id).addEventListener("input", () => setOpacity(find(id).value));
  setOpacity(find("opacity").value);
  find("export").addEventListener("click", () => {
    const items = desk.arranged();
    save(new Blob([csvOf(items)], { type: "text/csv" }), "scores.csv");
    desk.noteExport(items);
  });
  desk.addEventListener("change", oncePerFrame(offerDisputed));
}

// Only where there is more than one opinion.
function offerDisputed() {
  find("disputed").hidden = desk.models.length < 2;
  if (desk.show !== "disputed" || desk.models.length > 1) return;
  find("show").value = "all";
  desk.look({ show: "all" });
}

function numberIn(id, otherwise) {
  const value = find(id).valueAsNumber;
  return Number.isNaN(value) ? otherwise : value;
}

function setOpacity(value) {
  for (const id of ["opacity", "viewer-opacity"]) find(id).value = value;
  document.documentElement.style.setProperty("--heat", value);
}
