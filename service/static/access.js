// The key: asked for when the server wants one, kept for this tab only (sessionStorage), sent as a Bearer token.

import { find } from "./dom.js";

let waiting = null; // { promise, resolve } while somebody waits for a key

/** The key given in this tab, or null. */
export const currentKey = () => sessionStorage.getItem("key");

/** Ask for a key and say why; resolves when one was given. Whoever asks meanwhile waits for the same answer. */
export function wantKey(reason) {
  find("access-reason").textContent = reason;
  if (!waiting) {
    waiting = {};
    waiting.promise = new Promise((resolve) => (waiting.resolve = resolve));
    find("access").hidden = false;
    find("key").focus();
  }
  return waiting.promise;
}

/** Connect the form. The key is forgotten only where `mayForget()` says so; then `onForgotten` is called. */
export function connectAccess(mayForget, onForgotten) {
  const forget = find("forget-key");
  forget.hidden = !currentKey();
  find("access").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("key", find("key").value.trim());
    find("access").reset();
    find("access").hidden = true;
    forget.hidden = false;
    waiting?.resolve();
    waiting = null;
  });
  forget.addEventListener("click", () => {
    if (!mayForget()) return;
    sessionStorage.removeItem("key");
    forget.hidden = true;
    onForgotten();
  });
}
