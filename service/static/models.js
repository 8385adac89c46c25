// The model picker: which bundles there are, which one judges, and the card that tells what it is.

import { ask } from "./api.js";
import { desk } from "./desk.js";
import { find, make } from "./dom.js";
import { textOf } from "./markdown.js";

const POLL_MS = 1000;
const regions = new Map(); // digest → promise of a region, or of null
let models = [];

/** The name of the chosen model, or "" before there is one. */
export const chosenModel = () => (find("model").disabled ? "" : find("model").value);

/** How many calibration images stand behind a version's p-values. Raises Problem. */
export async function numCalibrationOf(name, version) {
  if (!versionOf(name, version)?.num_calibration) await refresh(); // it was loaded since
  return versionOf(name, version)?.num_calibration ?? null;
}

/** The region of a bundle, a PNG in base64; null where whole pictures count, or where the server does not tell. */
export function regionOf(name, version, digest) {
  if (!regions.has(digest)) {
    const found = ask(`models/${encodeURIComponent(name)}`)
      .then(({ versions }) => versions.find((each) => each.version === version)?.preprocess?.region ?? null)
      .catch(() => regions.delete(digest) && null);
    regions.set(digest, found);
  }
  return regions.get(digest);
}

/** Ask which models there are, and again while some are being loaded. Raises Problem. */
export async function listModels() {
  await refresh();
  while (models.some((model) => currentOf(model).status === "loading")) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    await refresh();
  }
}

/** Connect the picker; `onChosen` is called when another model is. */
export function connectModels(onChosen) {
  const card = find("card");
  find("model").addEventListener("change", onChosen);
  find("card-close").addEventListener("click", () => card.close());
  find("about").addEventListener("click", async () => {
    find("card-text").replaceChildren(make("p", {}, "…"));
    card.showModal();
    find("card-text").replaceChildren(...(await cardOf(chosenModel())));
  });
}

async function cardOf(name) {
  try {
    const { current, versions } = await ask(`models/${encodeURIComponent(name)}`);
    const { card, digest } = versions.find(({ version }) => version === current);
    return [...textOf(card), make("p", { className: "faint digest" }, `digest ${digest}`)];
  } catch (problem) {
    return [make("p", { className: "warning" }, problem.message)];
  }
}

async function refresh() {
  const before = chosenModel();
  const isFirst = !models.length;
  const answer = await ask("models");
  ({ models } = answer);
  if (isFirst && !desk.isAlphaChosen) desk.look({ alpha: answer.alpha });
  const ready = models.filter(isLoaded);
  const chosen = ready.find(({ name }) => name === before) ?? ready.find((model) => model.is_default) ?? ready[0];
  const select = find("model");
  select.replaceChildren(...(chosen ? models.map(optionOf) : [new Option(models.length ? "loading …" : "no model")]));
  select.disabled = find("about").disabled = !chosen;
  if (chosen) select.value = chosen.name;
}

const versionOf = (name, version) =>
  models.find((model) => model.name === name)?.versions.find((each) => each.version === version);
const currentOf = (model) => model.versions.find(({ version }) => version === model.current);
const isLoaded = (model) => currentOf(model).status === "loaded";

function optionOf(model) {
  const { method, status, version } = currentOf(model);
  const option = new Option(`${model.name} · version ${version} · ${method ?? status}`, model.name);
  option.disabled = !isLoaded(model);
  return option;
}
