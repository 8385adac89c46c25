// The desk is cleared at once, and the last clearing can be undone, with all that was scored and what still waited.

import { desk } from "./desk.js";
import { find, focusSoon } from "./dom.js";
import { releaseThumbnails } from "./pictures.js";
import { scoreAll, stopScoring } from "./scoring.js";
import { counted } from "./verdicts.js";

let removed = { items: [], waited: [] };

/** Connect the buttons. */
export function connectClearing() {
  find("clear").addEventListener("click", () => {
    removed = { waited: stopScoring(), items: desk.items };
    desk.clear();
    releaseThumbnails();
    find("cleared-text").textContent = `${counted(removed.items.length, "image was", "images were")} cleared.`;
    find("cleared").hidden = false;
    find("undo").focus();
  });
  find("undo").addEventListener("click", () => {
    desk.restore(removed.items);
    scoreAll(removed.waited);
    forget();
    focusSoon("clear");
  });
  find("forget-cleared").addEventListener("click", forget);
}

function forget() {
  removed = { items: [], waited: [] };
  find("cleared").hidden = true;
}
