// The history: what the server has scored, by whomever; a person's corrections; the same as CSV.

import { ask, request, withQuery } from "./api.js";
import { correctionButtons } from "./corrections.js";
import { find, make, named, save } from "./dom.js";
import { chosenModel } from "./models.js";
import { NAMES, SIGNS, number, rankOf } from "./verdicts.js";

const PAGE = 50;
const TIMES = ["since", "until"];
let next = null; // where the next page begins

/** Connect the filter and the buttons. */
export function connectHistory() {
  find("history-filter").addEventListener("submit", (event) => {
    event.preventDefault();
    showHistory();
  });
  find("history-more").addEventListener("click", () => told(addPage));
  find("history-csv").addEventListener("click", () => told(exportCsv));
}

/** Show the newest that pass the filter. */
export async function showHistory() {
  next = null;
  release(find("history-rows"));
  await told(addPage);
}

async function addPage() {
  const { items, next: after } = await ask(withQuery("history", { ...filter(), before: next, limit: PAGE }));
  find("history-rows").append(...items.map(rowOf));
  next = after;
  find("history-more").hidden = next === null;
  return find("history-rows").childElementCount ? "" : "Nothing is kept that fits.";
}

async function exportCsv() {
  const response = await request(withQuery("history.csv", filter()));
  save(await response.blob(), "history.csv");
  return "";
}

function filter() {
  const given = Object.fromEntries(new FormData(find("history-filter")));
  for (const name of TIMES) given[name] &&= new Date(given[name]).toISOString();
  return { model: chosenModel(), ...given };
}

// While it works the status says so; afterwards what came of it, be it a problem.
async function told(work) {
  const status = find("history-status");
  status.textContent = "Looking …";
  find("history-more").hidden = true;
  try {
    status.textContent = await work();
  } catch (problem) {
    status.textContent = problem.message;
  }
}

function rowOf(entry) {
  const verdict = entry.is_anomalous === null ? "none" : entry.is_anomalous ? "anomalous" : "normal";
  const row = make("li", { className: "panel" }, make("span", { className: "thumbnail" }));
  row.dataset.verdict = verdict;
  const facts = [
    new Date(entry.time).toLocaleString(),
    `${entry.model}, version ${entry.version}`,
    `score ${number(entry.score)}`,
    rankOf(entry.p_value, null),
  ];
  const corrected = paragraph("faint", "");
  const buttons = make("div", { className: "correction", role: "group", ariaLabel: `Correct ${entry.filename}` });
  const tell = (correction, by = "you") => {
    const what = correction === verdict ? "Confirmed" : `Corrected to ${correction}`;
    corrected.textContent = correction ? `${what} by ${by}.` : "";
  };
  tell(entry.correction, entry.corrected_by ?? "somebody");
  buttons.append(...correctionButtons([entry.id], entry.correction, tell));
  row.append(
    make("div", {}, named("p", entry.filename), paragraph("faint", facts.join(" · "))),
    make("div", {}, paragraph("verdict", `${SIGNS[verdict]} ${NAMES[verdict]}`), corrected),
    buttons,
  );
  if (entry.has_thumbnail) showThumbnail(row.firstElementChild, entry.id);
  return row;
}

const paragraph = (className, text) => make("p", { className }, text);

async function showThumbnail(target, id) {
  try {
    const blob = await (await request(`history/${id}/thumbnail`)).blob();
    target.append(make("img", { src: URL.createObjectURL(blob), alt: "" }));
  } catch {
    target.append(make("span", { className: "why" }, "picture lost"));
  }
}

function release(rows) {
  for (const { src } of rows.querySelectorAll("img")) URL.revokeObjectURL(src);
  rows.replaceChildren();
}
