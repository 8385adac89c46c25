// Images come in by drop, paste or choice, folders too. Where a folder `good` stands beside others, it labels them.

import { find } from "./dom.js";

const IMAGE = /\.(png|jpe?g|webp|bmp|tiff?)$/i;
const GOOD = "good";
const MASKS = "ground_truth"; // masks of an MVTec-style tree, not photographs

/** Connect the ways in; `accept([{ file, name, label }])` gets what comes. */
export function connectIntake(accept) {
  for (const [button, input] of [["choose-files", "files"], ["choose-folder", "folder"]]) {
    find(button).addEventListener("click", () => find(input).click());
    find(input).addEventListener("change", ({ target }) => {
      accept(labelled([...target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }))));
      target.value = "";
    });
  }
  document.addEventListener("paste", ({ clipboardData }) => {
    const files = [...clipboardData.files];
    if (files.length) accept(labelled(files.map((file) => ({ file, path: file.name }))));
  });
  connectDrop(accept);
}

/**
 * Name and label files by their paths: below a folder `good` normal, in any other folder beside one anomalous, else
 * null. In folders, what has not an image's suffix is left out, and so are masks.
 */
export function labelled(entries) {
  const parts = entries
    .map(({ file, path }) => ({ file, path, folders: path.split("/").slice(0, -1) }))
    .filter(({ path, folders }) => !folders.length || (IMAGE.test(path) && !folders.includes(MASKS)));
  const isLabelled = parts.some(({ folders }) => folders.includes(GOOD));
  return parts.map(({ file, path, folders }) => ({
    file,
    name: path,
    label: !isLabelled || !folders.length ? null : folders.includes(GOOD) ? "normal" : "anomalous",
  }));
}

function connectDrop(accept) {
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, async (event) => {
      event.preventDefault();
      find("drop").classList.toggle("over", kind === "dragover");
      if (kind === "drop") accept(labelled(await filesOf(event.dataTransfer)));
    });
  }
}

// Entries must be asked for at once: they are gone after the event.
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  return (await Promise.all(entries.map(filesBelow))).flat();
}

async function filesBelow(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = entry.createReader();
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at most
    if (!some.length) break;
    children.push(...some);
  }
  return (await Promise.all(children.map(filesBelow))).flat();
}
