// The history: what the server has scored, by whomever; searched, opened, corrected; the same as CSV.

import { Latest, ask, download, withQuery } from "./api.js";
import { correctionButtons } from "./corrections.js";
import { find, make, named, save } from "./dom.js";
import { chosenModel } from "./models.js";
import { nameOf, notKept, openRecord, showThumbnail, verdictOfRow } from "./record.js";
import { NAMES, SIGNS, number, rankOf } from "./verdicts.js";

const PAGE = 50;
const TIMES = ["since", "until"];
const listing = new Latest();
let next = null; // where the next page begins
let asked = {}; // the filter of the rows that are shown

/** Connect the filter and the buttons. */
export function connectHistory() {
  find("history-filter").addEventListener("submit", (event) => {
    event.preventDefault();
    showHistory();
  });
  find("history-more").addEventListener("click", addPage);
  find("history-csv").addEventListener("click", () => find("history-filter").reportValidity() && told(exportCsv));
}

/** Show the newest that pass the filter. */
export async function showHistory() {
  next = null;
  asked = filter();
  find("history-more").hidden = true;
  find("history-rows").replaceChildren();
  await addPage();
}

async function addPage() {
  const signal = listing.begin();
  const [more, rows] = [find("history-more"), find("history-rows")];
  await told(async () => {
    const page = withQuery("history", { ...asked, before: next, limit: PAGE });
    const { items, next: after, failure } = await ask(page, { signal });
    const added = items.map(rowOf);
    rows.append(...added);
    next = after;
    if (document.activeElement === more) added[0]?.querySelector(".open").focus(); // the button may go
    if (failure) return notKept(failure);
    return rows.childElementCount ? "" : "Nothing is kept that fits.";
  });
  if (!signal.aborted) more.hidden = next === null;
}

async function exportCsv() {
  save(await download(withQuery("history.csv", filter())), "history.csv");
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
  try {
    status.textContent = await work();
  } catch (problem) {
    if (problem.name !== "AbortError") status.textContent = problem.message;
  }
}

function rowOf(entry) {
  const verdict = verdictOfRow(entry);
  const row = make("li", { className: "panel" });
  row.dataset.verdict = verdict;
  const told = make("p", { className: "faint" });
  const tell = () => (told.textContent = corrected(entry));
  const buttons = make("div", { className: "correction", role: "group", ariaLabel: `Correct ${nameOf(entry)}` });
  buttons.append(
    ...correctionButtons([entry.id], entry.correction, (correction, row) => {
      Object.assign(entry, { correction, corrected_by: "you", corrected_at: row.corrected_at });
      tell();
    }),
  );
  tell();
  row.append(
    make("span", { className: "thumbnail" }),
    namesOf(entry),
    make("div", {}, make("p", { className: "verdict" }, `${SIGNS[verdict]} ${NAMES[verdict]}`), told),
    buttons,
  );
  if (entry.has_thumbnail) showThumbnail(row.firstElementChild, entry.id);
  return row;
}

function namesOf(entry) {
  const open = make("button", { type: "button", className: "open" }, named("span", nameOf(entry)));
  open.addEventListener("click", () => openRecord(entry));
  const facts = [
    new Date(entry.time).toLocaleString(),
    `${entry.model}, version ${entry.version}`,
    `score ${number(entry.score)}`,
    rankOf(entry.p_value, null),
  ];
  const part = entry.part ? [make("p", { className: "part" }, "Part ", named("span", entry.part))] : [];
  return make("div", {}, open, ...part, make("p", { className: "faint" }, facts.join(" · ")));
}

/** What people said of a row. */
function corrected({ correction, corrected_by: by, ...entry }) {
  if (!correction) return by ? `Correction taken back by ${by}.` : "";
  const what = correction === verdictOfRow(entry) ? "Confirmed" : `Corrected to ${correction}`;
  return `${what} by ${by ?? "somebody"}.`;
}
