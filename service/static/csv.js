// The desk as CSV (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe before it.

import { desk } from "./desk.js";

const COLUMNS = [
  ["name", ({ name }) => name],
  ["verdict", (item) => desk.verdict(item)],
  ["score", ({ answer }) => answer?.score],
  ["p_value", ({ answer }) => answer?.p_value],
  ["alpha", () => desk.alpha],
  ["label", ({ label }) => label],
  ["correction", ({ correction }) => correction],
  ["model", ({ answer }) => answer?.model],
  ["version", ({ answer }) => answer?.version],
  ["digest", ({ answer }) => answer?.digest],
  ["error", ({ problem }) => problem],
];

/** The items as a file's text, a row each. */
export function csvOf(items) {
  const rows = items.map((item) => COLUMNS.map(([, read]) => read(item)));
  return [COLUMNS.map(([name]) => name), ...rows].map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}

function cell(value) {
  if (typeof value === "number") return String(value);
  const text = String(value ?? "");
  const inert = /^[=+\-@\t\r\n]/.test(text.trimStart()) || /^[\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
