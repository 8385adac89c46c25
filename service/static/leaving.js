// Who closes the tab, loads it anew or forgets the key is asked first, where images would be lost with it.

import { desk } from "./desk.js";
import { counted } from "./verdicts.js";

/** Let the browser ask before the page goes. Its words are the browser's own. */
export function connectLeaving() {
  window.addEventListener("beforeunload", (event) => desk.unsaved().length && event.preventDefault());
}

/** Empty the desk before the page goes, so that nobody is asked again; false if the person wants to keep it. */
export function giveUpDesk() {
  const num = desk.unsaved().length;
  const lost = counted(num, "image on this page is", "images on this page are");
  if (num && !confirm(`${lost} not saved and will be lost. Forget the key all the same?`)) return false;
  desk.clear();
  return true;
}
