// One entry of the history, opened: its thumbnail, where they are kept, its terms, and all that is kept of it.

import { download } from "./api.js";
import { find, make, makeRow, named, showName } from "./dom.js";
import { NAMES, SIGNS, number, percent, rankOf } from "./verdicts.js";

/** Connect the dialog. */
export function connectRecord() {
  find("record-close").addEventListener("click", () => find("record").close());
}

/** "none", "anomalous" or "normal". */
export const verdictOfRow = ({ is_anomalous: isAnomalous }) =>
  isAnomalous === null ? "none" : isAnomalous ? "anomalous" : "normal";

/** What an entry is called. */
export const nameOf = ({ filename }) => filename ?? "without a name";

/** What it means that the server cannot keep what it scores, for the reason that it gives. */
export const notKept = (failure) => `What is scored now is not kept, so it does not appear here: ${failure}.`;

/** Open an entry as it was listed. */
export function openRecord(entry) {
  const verdict = verdictOfRow(entry);
  showName(find("record-name"), nameOf(entry));
  find("record").dataset.verdict = verdict;
  find("record-verdict").textContent = `${SIGNS[verdict]} ${NAMES[verdict]}`;
  const picture = make("div"); // its own, so that a picture that comes late is not shown with another entry
  find("record-picture").replaceChildren(picture);
  if (entry.has_thumbnail) showThumbnail(picture, entry.id, "The image, small, as the model saw it");
  else picture.append(make("p", { className: "faint" }, "The server keeps no picture of it."));
  fill(find("record-facts"), factsOf(entry));
  fill(find("record-terms"), termsOf(entry));
  find("record").showModal();
}

/** Put the picture of an entry into `target`. */
export async function showThumbnail(target, id, alt = "") {
  try {
    const file = await download(`history/${id}/thumbnail`);
    const image = make("img", { src: URL.createObjectURL(file), alt });
    const release = () => URL.revokeObjectURL(image.src);
    image.addEventListener("load", release);
    image.addEventListener("error", release);
    target.append(image);
  } catch {
    target.append(make("span", { className: "why" }, "picture lost"));
  }
}

const fill = (table, rows) => table.replaceChildren(...rows.map(([name, value]) => makeRow(name, [value])));

function factsOf(entry) {
  const { corrected_at: at, corrected_by: by } = entry;
  return [
    ["part", entry.part === null ? "–" : named("span", entry.part)],
    ["time", new Date(entry.time).toLocaleString()],
    ["score", number(entry.score)],
    ["anomalous above", entry.threshold === null ? "–" : number(entry.threshold)],
    ["false-alarm rate", percent(entry.alpha)],
    ["among normal images", rankOf(entry.p_value, null)],
    ["correction", entry.correction ?? (by ? "taken back" : "–")],
    ...(by ? [["corrected by", at ? `${by}, ${new Date(at).toLocaleString()}` : by]] : []),
    ["model", `${entry.model}, version ${entry.version}`],
    ["request id", entry.request_id],
    ["SHA-256 of the file", entry.image_hash],
    ["number in the history", String(entry.id)],
  ];
}

function termsOf({ terms }) {
  if (!terms) return [["", "They were not kept: the row is of an older version of the server."]];
  return Object.entries(terms).map(([name, value]) => [name.replaceAll("_", " "), number(value)]);
}
