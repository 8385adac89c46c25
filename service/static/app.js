// The page for people. It uses only the public calls: GET models, POST score.
// Whatever comes from files or answers goes into the page as text, never as markup.

const MAX_AT_ONCE = 4;
const find = (id) => document.getElementById(id);
const results = find("results");
const waiting = [];
let running = 0;

// --- models ---------------------------------------------------------------------------------------------------------

async function listModels() {
  const select = find("model");
  try {
    const { models } = await ask("models");
    select.replaceChildren(...models.map(optionOf));
    const ready = models.some((model) => currentOf(model).status === "loaded");
    say(ready ? "" : "Models are still being loaded …");
    if (models.some((model) => currentOf(model).status === "loading")) setTimeout(listModels, 1000);
  } catch (error) {
    say(error.message);
  }
}

function currentOf(model) {
  return model.versions.find(({ version }) => version === model.current);
}

function optionOf(model) {
  const current = currentOf(model);
  const option = new Option(`${model.name} (${current.method ?? current.status})`, model.name);
  option.disabled = current.status !== "loaded";
  option.selected = model.is_default;
  return option;
}

// --- images: at most a few on their way at once ---------------------------------------------------------------------

function accept(files) {
  for (const file of files) waiting.push({ file, card: addCard(file) });
  while (running < MAX_AT_ONCE && waiting.length) work();
}

async function work() {
  running += 1;
  while (waiting.length) {
    const { file, card } = waiting.shift();
    try {
      show(card, await score(file));
    } catch (error) {
      card.classList.add("failed");
      fill(card, ".verdict", error.message);
    }
  }
  running -= 1;
}

async function score(file) {
  const query = new URLSearchParams({ model: find("model").value, alpha: find("alpha").value, heatmap: "true" });
  const body = new FormData();
  body.append("file", file);
  return ask(`score?${query}`, { method: "POST", body });
}

// --- asking the server: with the key, if one was given; it lives as long as this tab ---------------------------------

async function ask(path, options = {}) {
  const key = sessionStorage.getItem("key");
  const response = await fetch(path, { ...options, headers: key ? { Authorization: `Bearer ${key}` } : {} });
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401) find("access").hidden = false;
  if (!response.ok) throw new Error(answer.error?.message ?? `The server answered ${response.status}.`);
  return answer;
}

function keepKey() {
  sessionStorage.setItem("key", find("key").value.trim());
  find("key").value = "";
  find("access").hidden = true;
  listModels();
}

// --- cards ----------------------------------------------------------------------------------------------------------

function addCard(file) {
  const card = find("card").content.firstElementChild.cloneNode(true);
  fill(card, ".name", file.name);
  fill(card, ".verdict", "…");
  const original = card.querySelector(".original");
  original.src = URL.createObjectURL(file);
  original.onload = () => {
    original.classList.toggle("small", original.naturalWidth < 160);
    URL.revokeObjectURL(original.src);
  };
  results.prepend(card);
  return card;
}

function show(card, answer) {
  card.classList.add(answer.is_anomalous === null ? "open" : answer.is_anomalous ? "anomalous" : "normal");
  const verdict = answer.is_anomalous ? "anomalous" : "normal";
  fill(card, ".verdict", answer.is_anomalous === null ? answer.message : verdict);
  fill(card, ".score", rounded(answer.score));
  fill(card, ".threshold", answer.threshold === null ? "none" : rounded(answer.threshold));
  fill(card, ".p-value", rounded(answer.p_value));
  picture(card, ".reconstruction", answer.reconstruction);
  overlay(card.querySelector(".heatmap"), answer.heatmap);
}

// The heatmap's grey becomes the opacity of one colour: nothing up to half (what normal images reach), then more.
async function overlay(image, heatmap) {
  const grey = new Image();
  grey.src = `data:image/png;base64,${heatmap}`;
  await grey.decode();
  const canvas = document.createElement("canvas");
  canvas.width = grey.naturalWidth;
  canvas.height = grey.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(grey, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const excess = Math.max(0, pixels.data[i] - 96) / 159;
    pixels.data.set([230, 30 + 120 * (1 - excess), 20, 255 * excess], i);
  }
  context.putImageData(pixels, 0, 0);
  image.src = canvas.toDataURL();
  image.hidden = false;
}

function picture(card, selector, base64) {
  const image = card.querySelector(selector);
  image.src = `data:image/png;base64,${base64}`;
  image.hidden = false;
}

function fill(card, selector, text) {
  card.querySelector(selector).textContent = text;
}

function say(text) {
  find("status").textContent = text;
}

function rounded(value) {
  return Number(value.toPrecision(3)).toString();
}

// --- events ---------------------------------------------------------------------------------------------------------

const drop = find("drop");
find("options").addEventListener("submit", (event) => event.preventDefault());
find("access").addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey();
});
find("files").addEventListener("change", (event) => {
  accept(event.target.files);
  event.target.value = "";
});
find("opacity").addEventListener("input", (event) => {
  results.style.setProperty("--opacity", event.target.value);
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") accept(event.dataTransfer.files);
  });
}
listModels();
