// Images come in by drop, paste or choice, folders too. Where a folder `good` stands beside others, it labels them.

import { find } from "./dom.js";
import { counted } from "./verdicts.js";

const IMAGE = /\.(png|jpe?g|jpe|jfif|webp|bmp|tiff?|p[bgnp]m)$/i;
const GOOD = "good";
const MASKS = "ground_truth"; // masks of an MVTec-style tree, not photographs
// What systems and storage devices keep in folders, beside what begins with a dot: copies, thumbnails, deleted files.
const SYSTEM = ["__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"];

/** Connect the ways in; `accept([{ file, name, label }])` gets what comes. */
export function connectIntake(accept) {
  const take = (entries) => {
    const read = entries.filter(({ file }) => file);
    const taken = labelled(read);
    const texts = [leftOut(read.length - taken.length), unread(entries.length - read.length)];
    find("left-out").textContent = texts.filter(Boolean).join(" ");
    accept(taken);
  };
  for (const [button, input] of [["choose-files", "files"], ["choose-folder", "folder"]]) {
    find(button).addEventListener("click", () => find(input).click());
    find(input).addEventListener("change", ({ target }) => {
      take([...target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
      target.value = "";
    });
  }
  document.addEventListener("paste", ({ clipboardData }) => {
    const files = [...clipboardData.files];
    if (files.length) take(files.map((file) => ({ file, path: file.name })));
  });
  connectDrop(take);
}

/**
 * Name and label files by their paths: below a folder `good` normal, in any other folder beside one anomalous, else
 * null. In folders, what has not an image's suffix is left out, and so are masks, hidden files and those of systems.
 */
export function labelled(entries) {
  const parts = entries
    .map(({ file, path }) => ({ file, path, folders: path.split("/").slice(0, -1) }))
    .filter(({ path, folders }) => !folders.length || (IMAGE.test(path) && !isMaskOrHidden(path, folders)));
  const isLabelled = parts.some(({ folders }) => folders.includes(GOOD));
  return parts.map(({ file, path, folders }) => ({
    file,
    name: path,
    label: !isLabelled || !folders.length ? null : folders.includes(GOOD) ? "normal" : "anomalous",
  }));
}

// The chosen folder itself may be called anything.
function isMaskOrHidden(path, folders) {
  const below = path.split("/").slice(1);
  return folders.includes(MASKS) || below.some((name) => name.startsWith(".") || SYSTEM.includes(name.toLowerCase()));
}

function leftOut(num) {
  if (!num) return "";
  return `${counted(num, "file was", "files were")} left out: hidden files, masks, or files that are no images.`;
}

const unread = (num) => (num ? `${counted(num, "file or folder", "files or folders")} could not be read.` : "");

function connectDrop(take) {
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, async (event) => {
      event.preventDefault();
      find("drop").classList.toggle("over", kind === "dragover");
      if (kind !== "drop") return;
      const entries = await filesOf(event.dataTransfer);
      if (entries.length) take(entries); // it may have been a text
    });
  }
}

// Entries must be asked for at once: they are gone after the event.
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  return (await Promise.all(entries.map(filesBelow))).flat();
}

// What cannot be read is without a file, and costs itself alone.
const filesBelow = (entry) => contentOf(entry).catch(() => [{ file: null, path: entry.fullPath }]);

async function contentOf(entry) {
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
