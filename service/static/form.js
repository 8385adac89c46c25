// A file is sent to be scored.

import { ask, withQuery } from "./api.js";
import { answerWithinS } from "./models.js";

const CONTROL = /[\u0000-\u001f\u007f]/g; // the server takes names of one line, without such characters
const MAX_NAME = 1024; // characters
const BACK_S = 60; // for the answer's way: the server's own limits end when it begins to answer

/** The server's answer to a file; `query` are the parameters of `POST /score`. Raises as `ask` does. */
export function scoreFile(file, name, query, signal) {
  const limitMs = 1000 * (answerWithinS() + BACK_S);
  return ask(withQuery("score", query), { method: "POST", body: formOf(file, name), signal, limitMs });
}

// The name is a field too: in the file's head browsers escape quotes, and those would be kept.
function formOf(file, name) {
  const sent = name.replace(CONTROL, "\ufffd").slice(0, MAX_NAME);
  const form = new FormData();
  form.append("name", sent);
  form.append("file", file, sent);
  return form;
}
