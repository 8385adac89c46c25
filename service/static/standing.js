// Whether a model can judge, as `GET /models` lists it.

import { ask } from "./api.js";

/** The version that answers where a request names none. */
export const currentOf = (model) => model.versions.find(({ version }) => version === model.current);

/** Whether a model judges. */
export const isLoaded = (model) => currentOf(model).status === "loaded";

/** Whether it will, or will be known not to. */
export const isLoading = (model) => currentOf(model).status === "loading";

/** Why the model of this name does not judge, of `all` that are listed; "" if it does. */
export function lackOf(name, all) {
  const model = all.find((each) => each.name === name);
  if (model && isLoaded(model)) return "";
  if (model && isLoading(model)) return `The model ${name} is being loaded.`;
  return `The model ${name} ${model ? "could not be loaded" : "is not on this server"}.`;
}

/** A model as an entry of the picker; one that does not judge cannot be chosen. */
export function optionOf(model) {
  const { status, version, message } = currentOf(model);
  const told = { loading: "is being loaded", failed: `version ${version} could not be loaded` };
  const option = new Option(`${model.name} · ${told[status] ?? `version ${version}`}`, model.name);
  option.title = status === "failed" ? message : "";
  option.disabled = !isLoaded(model);
  return option;
}

/** Ask why a model gives no verdict at the moment, "" if it does. Raises Problem. */
export async function whyNotNow(name, options) {
  const { models } = await ask("models", options);
  return lackOf(name, models);
}
