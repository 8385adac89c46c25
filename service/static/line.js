// The screen for the line: good or bad, of the image that was scored last, and nothing else.
//
// It follows the server's history, where one is kept, so that it shows what any program sent; and it takes images
// itself. What is neither good nor bad looks like neither. It says what the server said: the slider has no part in it.

import { Problem, ask, withQuery } from "./api.js";
import { keepAwake, pause } from "./awake.js";
import { find, showName } from "./dom.js";
import { scoreFile } from "./form.js";
import { chosenModel, keepsHistory, whyNone } from "./models.js";
import { waitTexts } from "./pace.js";
import { notKept } from "./record.js";
import { Queue } from "./queue.js";
import { whyNotNow } from "./standing.js";

const POLL_MS = 1000;
const LOOK_MS = 5000; // whether the model can still judge: the history keeps its last verdict, whatever becomes of it
const BLINK_MS = 250;
const MAX_WAIT_S = 5; // while nothing is reached: somebody waits in front of the screen
const ANSWER_MS = 5000; // a server that is silent for longer may have judged other images since
const WORDS = {
  waiting: "Waiting",
  good: "Good",
  bad: "Bad",
  none: "No verdict",
  failed: "Not scored",
  lost: "No connection",
};
const AWAITING = "An image will be judged as soon as it comes.";
const ONLY_HERE = "This server keeps no history, so only images that are given to this screen are judged.";

const LOADING = "The models are being loaded.";
const CHOOSE = "Leave this screen and choose another model, or wait until it is there.";
const LATER = "It is judged as soon as the model is loaded.";

let following = null; // AbortController, while the screen is there
let followed = ""; // the name of the model, once it can judge
let early = []; // files that were given before
let newest = null; // the history's number of the latest image that was shown of it
let numShown = 0; // verdicts

const queue = new Queue({
  atOnce: 1, // so that the last one stays
  work: score,
  fail: ([file], problem) => show("failed", { why: problem.message, name: file.name, time: new Date() }),
  report: (problem, seconds) => problem && showWait(problem, waitTexts(problem, seconds)),
});

/** Connect the buttons. */
export function connectLine() {
  find("line-choose").addEventListener("click", () => find("files").click());
  find("line-full").addEventListener("click", () => find("line").requestFullscreen());
}

/** Begin to follow the chosen model; `problem` is what the server was last asked for in vain with, null if nothing. */
export function showLine(problem) {
  following?.abort();
  following = new AbortController();
  newest = null;
  const lack = whyNone(); // another model's verdicts would be taken for those of the one that was asked for
  followed = lack ? "" : chosenModel();
  showName(find("line-model"), followed);
  if (followed) show("waiting", { why: awaiting() });
  else if (problem) show("lost", { why: "The server has not answered yet." });
  else if (lack) show("none", { why: `${lack} ${CHOOSE}` });
  else show("waiting", { why: early.length ? LATER : LOADING });
  if (followed) judge(early.splice(0));
  if (followed) follow(followed, following.signal);
  keepAwake(following.signal);
}

/** Follow no longer, and forget what has not been judged. */
export function leaveLine() {
  following?.abort();
  following = null;
  followed = "";
  early = [];
  queue.clear();
  if (document.fullscreenElement) document.exitFullscreen();
}

/** Judge these files, or do it once there is a model, the last of them to stay on the screen. They are not kept. */
export function judge(files) {
  if (!files.length) return;
  show("waiting", { why: followed ? "Looking …" : LATER });
  if (followed) queue.add(files.map((file) => [file, followed]));
  else early.push(...files);
}

async function score([file, model], signal) {
  const answer = await scoreFile(file, file.name, { model }, signal);
  const isLate = answer.history_id && answer.history_id < newest; // another has been scored since
  if (!signal.aborted && !isLate) showVerdict({ ...answer, id: answer.history_id, time: new Date() });
}

async function follow(model, signal) {
  let lookedAt = -Infinity;
  for (let tries = 0; !signal.aborted; ) {
    let waitMs = POLL_MS;
    const before = numShown;
    try {
      if (tries || performance.now() - lookedAt >= LOOK_MS) {
        const lack = await whyNotNow(model, { signal, limitMs: ANSWER_MS });
        if (lack) throw new Problem(503, lack);
        lookedAt = performance.now();
      }
      const { items, failure } = keepsHistory() ? await newestOf(model, signal) : { items: [] };
      if (failure) throw new Problem(503, notKept(failure));
      const isLate = numShown !== before; // an image that was given here has been scored since it was asked
      if (tries && !isLate) show("waiting", { why: awaiting() });
      tries = 0;
      if (items.length && items[0].id !== newest && !isLate) showVerdict(items[0]);
    } catch (problem) {
      if (signal.aborted) return;
      tries += 1;
      newest = null; // so that it is shown again
      show(problem.isUnreached ? "lost" : "none", { why: problem.message });
      waitMs = 1000 * Math.max(problem.waitS, Math.min(MAX_WAIT_S, tries));
    }
    await pause(waitMs, signal);
  }
}

const newestOf = (model, signal) =>
  ask(withQuery("history", { model, limit: 1 }), { signal, limitMs: ANSWER_MS });

const awaiting = () => (keepsHistory() ? AWAITING : ONLY_HERE);

function showVerdict({ id, is_anomalous: isAnomalous, message, warning, part, filename, time }) {
  const state = isAnomalous === null ? "none" : isAnomalous ? "bad" : "good";
  const none = state === "none" ? "The model has too few calibration images for the rate that is set." : "";
  const why = message ?? warning ?? none;
  show(state, { why, name: [part, filename].filter(Boolean).join(" · "), time: new Date(time) });
  newest = id ?? newest;
  numShown += 1;
}

function showWait({ isUnreached }, { why, wait }) {
  show(isUnreached ? "lost" : "waiting", { why });
  find("line-wait").textContent = wait;
}

// The same word again is noticed too, because it blinks. What is neither said of an image nor new is not said again.
function show(state, { why = "", name = "", time = null } = {}) {
  find("line-wait").textContent = "";
  document.title = `${WORDS[state]} · Line screen · anomaly`;
  const shown = [find("line").dataset.state, find("line-reason").textContent, find("line-name").textContent];
  if (!time && [state, why, name].every((each, i) => each === shown[i])) return;
  find("line").dataset.state = state;
  find("line-word").textContent = WORDS[state];
  find("line-reason").textContent = why;
  showName(find("line-name"), name);
  find("line-time").textContent = time ? timeText(time) : "";
  if (!matchMedia("(prefers-reduced-motion)").matches) {
    find("line-verdict").animate([{ opacity: 0 }, { opacity: 1 }], BLINK_MS);
  }
}

function timeText(time) {
  const isToday = time.toDateString() === new Date().toDateString();
  return isToday ? time.toLocaleTimeString() : time.toLocaleString();
}
