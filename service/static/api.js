// Asking the server. Every failure becomes a Problem with a sentence for people; who wants a key is given one first.

import { currentKey, wantKey } from "./access.js";
import { Patience } from "./patience.js";

const LEADS = {
  400: "The server did not understand the request.",
  401: "This server wants a key.",
  403: "This key may not do that.",
  404: "", // the server's sentence says what there is not
  408: "The image took too long to send.",
  413: "Too large for this server.",
  415: "Not an image format that this server reads.",
  422: "This cannot be read as an image.",
  429: "This key asks too often.",
  500: "The server failed.",
  503: "The server is busy.",
};
// By the code of the error, where its status does not say who refused, or what.
const LEADS_OF_CODES = {
  unknown_host: "The server does not know the address that you called it by.",
  cross_site_request: "The server does not know this page's address as its own.",
};
// What is no error of the server's own comes from what is in front of it.
const PROXY = {
  413: "A proxy in front of the server takes no file of this size. Its limit is set there.",
  502: "A proxy in front of the server cannot reach it.",
  504: "A proxy in front of the server did not wait for it.",
};
const OFFLINE = "The server cannot be reached. Check the network and that it is running.";
const SILENT = "The server does not answer. Check the network and that it is running.";
const SILENCE = "silence";
const ANSWER_MS = 30_000; // a server that is silent for longer is waited for no more; the longest search takes 10 s
const PASSING = [408, 429, 502, 503, 504]; // worth another try

/** A failed request: `message` is a sentence, `status` 0 where no answer came, `waitS` what Retry-After asks for. */
export class Problem extends Error {
  constructor(status, message, { code = "", waitS = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, waitS });
  }

  /** It may have been done all the same. */
  get isSilent() {
    return this.code === SILENCE;
  }

  get isOffline() {
    return this.status === 0;
  }

  /** Nobody, or only a proxy in front of the server, has answered. */
  get isUnreached() {
    return [0, 502, 504].includes(this.status);
  }

  /** Passes for certain, as often as it is met. */
  get isTooOften() {
    return this.status === 429;
  }

  get isPassing() {
    return PASSING.includes(this.status);
  }
}

/** The answer's JSON. Raises Problem, also where it takes longer than `options.limitMs`, or AbortError by `signal`. */
export async function ask(path, options) {
  const response = await request(path, options);
  return reaching(() => response.json());
}

/** The answer as a file, however long it takes while some of it comes. Raises as `ask` does, also if it ends early. */
export async function download(path) {
  const patience = new Patience(ANSWER_MS);
  try {
    const response = await request(path, { patience });
    const pieces = await reaching(() => patience.listen(response.body));
    return new Blob(pieces, { type: response.headers.get("Content-Type") });
  } finally {
    patience.end();
  }
}

/** The answer itself, of any type, if it is a good one. Raises as `ask` does. */
async function request(path, options = {}) {
  for (;;) {
    const key = currentKey();
    const response = await send(path, options, key);
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.status !== 401) throw problem;
    if (key === currentKey()) await wantKey(key ? problem.message : LEADS[401]);
  }
}

/** Questions of which only the last one's answer is wanted: each new one aborts the one before. */
export class Latest {
  #asking = new AbortController();

  /** The AbortSignal of a new question. */
  begin() {
    this.#asking.abort();
    this.#asking = new AbortController();
    return this.#asking.signal;
  }
}

/** A path with those parameters that have a value. */
export function withQuery(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

// The time to type a key is not the server's.
function send(path, { limitMs = ANSWER_MS, patience, signal, ...options }, key) {
  const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
  const signals = [signal, patience?.begin() ?? AbortSignal.timeout(limitMs)].filter(Boolean);
  return reaching(() => fetch(path, { ...options, headers, signal: AbortSignal.any(signals) }));
}

async function reaching(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (error instanceof SyntaxError) throw new Problem(200, "The server's answer cannot be understood.");
    if (error.name === "TimeoutError") throw new Problem(0, SILENT, { code: SILENCE });
    throw new Problem(0, OFFLINE);
  }
}

async function problemOf(response) {
  const { code = "", message = "" } = (await response.json().catch(() => ({}))).error ?? {};
  const lead = leadOf(response.status, code);
  return new Problem(response.status, `${lead} ${sentence(message)}`.trim(), { code, waitS: secondsIn(response) });
}

function leadOf(status, code) {
  if (!code) return PROXY[status] ?? `Something in front of the server, such as a proxy, answered ${status}.`;
  return LEADS_OF_CODES[code] ?? LEADS[status] ?? `The server answered ${status}.`;
}

function secondsIn(response) {
  const value = response.headers.get("Retry-After") ?? "";
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : 0;
}

// It may begin with the name of a file, which stays as it is.
const sentence = (text) => (!text || /[.!?]$/.test(text) ? text : `${text}.`);
