// The desk as CSV (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe before it.

import { desk } from "./desk.js";

const COLUMNS = [
  ["name", ({ item }) => item.name],
  ["verdict", ({ item, model }) => desk.verdict(item, model)],
  ["score", ({ answer }) => answer?.score],
  ["p_value", ({ answer }) => answer?.p_value],
  ["alpha", () => desk.alpha],
  ["label", ({ item }) => item.label],
  ["correction", ({ correction }) => correction],
  ["model", ({ model }) => model],
  ["version", ({ answer }) => answer?.version],
  ["digest", ({ answer }) => answer?.digest],
  ["warning", ({ answer }) => answer?.warning],
  ["remarks", ({ answer }) => answer?.remarks.join("; ")],
  ["error", ({ problem }) => problem],
];

/** The items as a file's text: a row for each of them and each model that judges. */
export function csvOf(items) {
  const asked = items.flatMap((item) => desk.models.map((model) => ({ item, model, ...desk.result(item, model) })));
  const rows = asked.map((each) => COLUMNS.map(([, read]) => read(each)));
  return [COLUMNS.map(([name]) => name), ...rows].map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}

function cell(value) {
  if (typeof value === "number") return String(value);
  const text = String(value ?? "");
  const inert = /^[=+\-@\t\r\n]/.test(text.trimStart()) || /^[\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
