// The page's parts, put together. Scores, pictures, history and drift come from the public calls only.

import { connectAccess } from "./access.js";
import { csvOf } from "./csv.js";
import { connectDecision } from "./decision.js";
import { desk } from "./desk.js";
import { find, oncePerFrame, save } from "./dom.js";
import { connectDrift, showDrift } from "./drift.js";
import { connectEvaluation } from "./evaluation.js";
import { connectGallery, focusItem } from "./gallery.js";
import { connectHistory, showHistory } from "./history.js";
import { connectIntake } from "./intake.js";
import { chosenModel, connectModels, listModels } from "./models.js";
import { releaseThumbnails } from "./pictures.js";
import { scoreAll, stopScoring } from "./scoring.js";
import { connectViewer, openViewer } from "./viewer.js";

const RETRY_MS = 2000;
const VIEWS = { inspect: () => {}, history: showHistory, drift: showDrift };

async function begin() {
  connectAccess(() => location.reload());
  connectModels(() => {
    show();
    showView();
  });
  connectIntake(accept);
  connectDecision();
  connectEvaluation();
  connectGallery(openViewer);
  connectViewer(focusItem);
  connectHistory();
  connectDrift();
  connectTools();
  desk.addEventListener("change", oncePerFrame(show));
  window.addEventListener("hashchange", showView);
  let problem = await meetServer();
  showView();
  while (problem?.isOffline || problem?.isPassing) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(RETRY_MS, 1000 * problem.waitS)));
    problem = await meetServer();
    if (!problem) showView();
  }
}

/** Ask for the models, and say what is the matter if they do not come; returns that Problem, or null. */
async function meetServer() {
  const problem = await listModels().then(() => null, (reason) => reason);
  find("trouble").textContent = problem?.message ?? "";
  return problem;
}

function accept(entries) {
  location.hash = "inspect";
  scoreAll(desk.add(entries));
}

function showView() {
  const view = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "inspect";
  for (const name of Object.keys(VIEWS)) find(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    link.ariaCurrent = link.hash === `#${view}` ? "page" : null;
  }
  VIEWS[view]();
}

function show() {
  const total = desk.items.length;
  const waiting = desk.items.filter((item) => desk.verdict(item) === "waiting").length;
  const failed = desk.items.filter((item) => item.problem).length;
  const old = desk.items.filter(({ answer }) => answer && answer.model !== chosenModel()).length;
  find("workbench").hidden = !total;
  find("drop").classList.toggle("small", total > 0);
  find("progress").textContent = waiting ? `Scored ${total - waiting} of ${total} …` : "";
  Object.assign(find("progress-bar"), { hidden: !waiting, max: Math.max(1, total), value: total - waiting });
  find("again").hidden = !(failed || old) || waiting > 0;
  find("again").textContent = old ? `Score all with ${chosenModel()}` : `Try ${failed} again`;
}

function connectTools() {
  const number = (id, otherwise) => (Number.isNaN(find(id).valueAsNumber) ? otherwise : find(id).valueAsNumber);
  find("tools").addEventListener("submit", (event) => event.preventDefault());
  find("tools").addEventListener("input", () => {
    desk.look({ show: find("show").value, sort: find("sort").value });
    desk.look({ minScore: number("min-score", -Infinity), maxScore: number("max-score", Infinity) });
  });
  for (const id of ["opacity", "viewer-opacity"]) find(id).addEventListener("input", () => setOpacity(find(id).value));
  setOpacity(find("opacity").value);
  find("export").addEventListener("click", () => {
    save(new Blob([csvOf(desk.arranged())], { type: "text/csv" }), "scores.csv");
  });
  find("again").addEventListener("click", () => {
    scoreAll(desk.items.filter(({ answer }) => !answer || answer.model !== chosenModel()));
  });
  find("clear").addEventListener("click", () => {
    stopScoring();
    desk.clear();
    releaseThumbnails();
  });
}

function setOpacity(value) {
  for (const id of ["opacity", "viewer-opacity"]) find(id).value = value;
  document.documentElement.style.setProperty("--heat", value);
}

begin();
