// Which models there are, which one judges, which others beside it, and the card that tells what a model is.

import { Latest, ask } from "./api.js";
import { desk } from "./desk.js";
import { detectabilityOf } from "./detectability.js";
import { find, make, named, say } from "./dom.js";
import { textOf } from "./markdown.js";
import { png } from "./png.js";
import { currentOf, isLoaded, isLoading, lackOf, optionOf } from "./standing.js";

const POLL_MS = 1000;
const DETECTABILITY = "How small a defect is found"; // the heading of a card's section
const preprocesses = new Map(); // digest → promise of what a bundle tells of its preprocessing
const reading = new Latest(); // of cards
let models = [];
let isKnown = false; // which there are
let wanted = new URLSearchParams(location.search).get("model"); // to be chosen as soon as it can be
let hasHistory = false;
let withinS = 0;
let refreshing = Promise.resolve();

/** The name of the chosen model, or "" before there is one. */
export const chosenModel = () => (find("model").disabled ? "" : find("model").value);

/** Why the model that was to judge cannot, or why there is none; "" where there is one, or it may still be loaded. */
export function whyNone() {
  if (!isKnown || (!chosenModel() && models.some(isLoading))) return "";
  if (wanted) return lackOf(wanted, models);
  if (chosenModel()) return "";
  return models.length ? "No model of this server could be loaded." : "There is no model on this server.";
}

/** It has been seen that another model is chosen: it stays so. */
export const acceptModel = () => chosenModel() && (wanted = null);

/** Whether the server keeps a history. */
export const keepsHistory = () => hasHistory;

/** Seconds within which the server answers what is to be scored, once there is a model. */
export const answerWithinS = () => withinS;

/** How many calibration images stand behind a version's p-values. Raises Problem. */
export async function numCalibrationOf(name, version) {
  if (!versionOf(name, version)?.num_calibration) await refresh(); // it was loaded since
  return versionOf(name, version)?.num_calibration ?? null;
}

/** How a bundle reads a picture: { resize, region, … }, `region` a PNG file or null; null if the server is silent. */
export function preprocessOf(name, version, digest) {
  if (!preprocesses.has(digest)) {
    const found = ask(`models/${encodeURIComponent(name)}`)
      .then(({ versions }) => versions.find((each) => each.version === version)?.preprocess ?? null)
      .then((told) => told && { ...told, region: told.region && png(told.region) })
      .catch(() => preprocesses.delete(digest) && null);
    preprocesses.set(digest, found);
  }
  return preprocesses.get(digest);
}

/** Ask which models there are, and again while some are being loaded. Raises Problem. */
export async function listModels() {
  await refresh();
  while (models.some(isLoading)) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    await refresh();
  }
}

/** Connect the picker; `onChosen` is called when another model is. */
export function connectModels(onChosen) {
  const [card, compare] = [find("card"), find("compare")];
  find("model").addEventListener("change", () => {
    wanted = null;
    say("model-gone", "");
    offerOthers();
    onChosen();
  });
  compare.addEventListener("change", () => {
    say("model-gone", "");
    tellDesk();
  });
  document.addEventListener("click", ({ target }) => compare.contains(target) || (compare.open = false));
  compare.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !compare.open) return;
    compare.open = false;
    compare.firstElementChild.focus();
  });
  find("card-close").addEventListener("click", () => card.close());
  find("about").addEventListener("click", async () => {
    find("card-text").replaceChildren(make("p", {}, "…"));
    card.showModal();
    const signal = reading.begin();
    const content = await cardOf(chosenModel());
    if (!signal.aborted) find("card-text").replaceChildren(...content);
  });
}

async function cardOf(name) {
  try {
    const { current, versions } = await ask(`models/${encodeURIComponent(name)}`);
    const { card, digest, detectability } = versions.find(({ version }) => version === current);
    const parts = [...textOf(card), make("p", { className: "faint digest" }, `digest ${digest}`)];
    if (detectability) {
      const heading = parts.findIndex(({ textContent }) => textContent === DETECTABILITY);
      parts.splice(heading + 2, 0, detectabilityOf(detectability)); // after what the section says first
    }
    return parts;
  } catch (problem) {
    return [make("p", { className: "warning" }, problem.message)];
  }
}

// One after another, so that an older answer does not replace a newer one.
function refresh() {
  refreshing = refreshing.then(readModels, readModels);
  return refreshing;
}

async function readModels() {
  const answer = await ask("models");
  const before = wanted || chosenModel();
  const isFirst = !models.length;
  ({ models, history: hasHistory, answer_within_s: withinS } = answer);
  isKnown = true;
  if (isFirst && !desk.isAlphaChosen) desk.look({ alpha: answer.alpha });
  const ready = models.filter(isLoaded);
  const isDefault = (model) => model.is_default;
  const preferred = models.find(({ name }) => name === before) ?? models.find(isDefault) ?? models[0];
  const isAwaited = preferred && isLoading(preferred); // another would judge in its place
  const chosen = isAwaited ? null : (ready.find((model) => model === preferred) ?? ready.find(isDefault) ?? ready[0]);
  const select = find("model");
  select.replaceChildren(...(chosen ? models.map(optionOf) : [new Option(models.length ? "loading …" : "no model")]));
  select.disabled = find("about").disabled = !chosen;
  if (chosen) select.value = chosen.name;
  if (chosen) tellWhoIsGone(before, chosen);
  const isSeen = document.body.dataset.view !== "line"; // which does not show what is chosen
  wanted = chosen && (chosen.name === before || isSeen) ? null : before || null;
  offerOthers();
}

// It stays there until somebody chooses, or the model is back.
function tellWhoIsGone(before, chosen) {
  const lost = tickedModels().filter((name) => name !== chosen.name && !models.some((each) => isOf(name, each)));
  const texts = lost.map((name) => `${lackOf(name, models)} It is not compared any more.`);
  const isOther = before && before !== chosen.name;
  if (isOther) texts.unshift(`${lackOf(before, models)} The model ${chosen.name} is chosen instead.`);
  if (texts.length || wanted === chosen.name) say("model-gone", texts.join(" "));
}

const isOf = (name, model) => model.name === name && isLoaded(model);

// Those that are loaded, but the chosen one; what was ticked stays ticked.
function offerOthers() {
  const others = models.filter((model) => isLoaded(model) && model.name !== chosenModel()).map(({ name }) => name);
  const ticked = tickedModels();
  find("compare-models").replaceChildren(
    ...others.map((name) => {
      const box = make("input", { type: "checkbox", value: name, checked: ticked.includes(name) });
      return make("label", {}, box, named("span", name));
    }),
  );
  find("compare").hidden = !others.length;
  tellDesk();
}

function tellDesk() {
  const ticked = tickedModels();
  find("model").title = chosenModel();
  find("compare").firstElementChild.textContent = ticked.length ? `Comparing ${ticked.length + 1} models` : "Compare";
  desk.look({ models: chosenModel() ? [chosenModel(), ...ticked] : [] });
}

const tickedModels = () => [...find("compare-models").querySelectorAll(":checked")].map(({ value }) => value);

const versionOf = (name, version) =>
  models.find((model) => model.name === name)?.versions.find((each) => each.version === version);
