// The page's parts, put together. Scores, pictures, history and drift come from the public calls only.

import { connectAccess } from "./access.js";
import { connectClearing } from "./clearing.js";
import { connectDecision } from "./decision.js";
import { desk } from "./desk.js";
import { find, oncePerFrame } from "./dom.js";
import { connectDrift, showDrift } from "./drift.js";
import { connectEvaluation } from "./evaluation.js";
import { connectGallery, focusItem } from "./gallery.js";
import { connectHistory, showHistory } from "./history.js";
import { connectIntake } from "./intake.js";
import { connectLeaving, giveUpDesk } from "./leaving.js";
import { connectLine, judge, leaveLine, showLine } from "./line.js";
import { acceptModel, chosenModel, connectModels, listModels, whyNone } from "./models.js";
import { connectProgress } from "./progress.js";
import { connectRecord } from "./record.js";
import { scoreAll, tellTrouble } from "./scoring.js";
import { connectTools } from "./tools.js";
import { connectViewer, openViewer } from "./viewer.js";

const RETRY_MS = 2000;
const VIEWS = { inspect: () => {}, line: () => showLine(problem), history: showHistory, drift: showDrift };
const places = new Map(); // view → how far it was scrolled when it was left
let scrolled = 0; // pixels, of the view that is shown
let isAwaiting = true; // a model; from the beginning
let problem = null; // why the server was last asked in vain for its models

async function begin() {
  connectAccess(giveUpDesk, () => location.reload());
  connectLeaving();
  connectModels(showView);
  connectIntake(accept);
  connectDecision();
  connectEvaluation();
  connectGallery(openViewer);
  connectViewer((item) => currentView() === "inspect" && focusItem(item));
  connectHistory();
  connectRecord();
  connectDrift();
  connectLine();
  connectProgress();
  connectClearing();
  connectTools();
  desk.addEventListener("change", oncePerFrame(show));
  window.addEventListener("hashchange", leaveFor);
  window.addEventListener("scroll", () => (scrolled = window.scrollY), { passive: true });
  history.scrollRestoration = "manual"; // the browser would scroll before the view is there
  document.addEventListener("visibilitychange", () => document.hidden || lookAgain());
  reveal(); // while models are loaded, too
  if (currentView() === "line") VIEWS.line();
  await meetServer();
  showView();
  awaitModel();
}

/** Ask again until there is a model that can judge. */
async function awaitModel() {
  isAwaiting = true;
  while (isMissing()) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(RETRY_MS, 1000 * (problem?.waitS ?? 0))));
    await meetServer();
    if (!problem && (chosenModel() || currentView() === "line")) showView();
  }
  isAwaiting = false;
}

function isMissing() {
  if (problem) return problem.isOffline || problem.isPassing;
  return !chosenModel() || (currentView() === "line" && Boolean(whyNone()));
}

/** Ask for the models, and say what is the matter if they do not come. */
async function meetServer() {
  problem = await listModels().then(() => null, (reason) => reason);
  tellTrouble({ why: problem?.message ?? "" });
  if (!problem) scoreAll(desk.pieces("unscored")); // what was dropped before there was a model
}

function accept(entries) {
  if (currentView() === "line") {
    judge(entries.map(({ file }) => file));
    return;
  }
  location.hash = "inspect";
  const items = desk.add(entries);
  scoreAll(items.flatMap((item) => desk.models.map((model) => [item, model])));
}

const currentView = () => (location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "inspect");

function showView() {
  reveal();
  VIEWS[currentView()]();
}

function reveal() {
  const view = currentView();
  document.body.dataset.view = view;
  for (const name of Object.keys(VIEWS)) find(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    const isShown = link.hash === `#${view}`;
    link.ariaCurrent = isShown ? "page" : null;
    if (isShown) document.title = `${link.textContent} · anomaly`;
  }
  if (view !== "line") {
    leaveLine();
    acceptModel();
  }
}

// By a link, or by the browser's buttons. What lies over the view before would hide this one.
function leaveFor() {
  const left = document.body.dataset.view;
  if (left !== currentView()) {
    places.set(left, scrolled);
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  }
  showView();
  if (left !== currentView()) window.scrollTo(0, places.get(currentView()) ?? 0);
  lookAgain();
}

// A tab may be open for days: the server's models and their versions have changed meanwhile.
async function lookAgain() {
  if (isAwaiting) return;
  await listModels().catch(() => {}); // who uses it next is told what is the matter
  if (!isAwaiting) awaitModel();
}

function show() {
  find("workbench").hidden = !desk.items.length;
  find("drop").classList.toggle("small", desk.items.length > 0);
}

begin();
