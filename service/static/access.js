// The key: asked for when the server wants one, kept for this tab only (sessionStorage), sent as a Bearer token.

import { find } from "./dom.js";

// What a header can have. Copied texts bring signs that nobody sees; fetch fails then as if no server were there.
const KEY = /^[!-~]+$/;
const NO_KEY = "This is no key: keys have letters, digits, - and _ only. Copy it anew, or type it.";
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
    const key = find("key").value.trim();
    if (!KEY.test(key)) {
      find("access-reason").textContent = NO_KEY;
      find("key").select();
      return;
    }
    sessionStorage.setItem("key", key);
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
