// Photographs that are removed: no longer on the page at once, deleted from the server when it cannot be taken back any more.

import { forget } from "./album.js";
import * as server from "./server.js";

export const GRACE = 6000; // milliseconds
const channel = new BroadcastChannel("colorjax removed");
const waiting = new Map(); // photograph -> timer

/** Delete a photograph after a while. `failed(error)` hears if the server could not delete it. */
export function remove(photograph, failed) {
  waiting.set(photograph, setTimeout(() => finish(photograph).catch(failed), GRACE));
}

/** Take it back. Whether that came in time. */
function restore(photograph) {
  clearTimeout(waiting.get(photograph));
  photograph.removed = !waiting.delete(photograph);
  return !photograph.removed;
}

/** Say that something is removed, beside a button that takes it back: then `restored()` is called, if that came in time. */
export function sayRemoved(photograph, say, restored) {
  const back = Object.assign(document.createElement("button"), { className: "plain", textContent: "Undo" });
  back.addEventListener("click", () => {
    say("");
    if (restore(photograph)) restored();
  });
  say("Removed. ", back);
  setTimeout(() => back.isConnected && say(""), GRACE);
}

/** `heard(id)` hears what is removed in another tab: it is not to be sent again from here. */
export const elsewhere = (heard) => (channel.onmessage = ({ data }) => heard(data));

async function finish(photograph) {
  clearTimeout(waiting.get(photograph));
  waiting.delete(photograph);
  forget(photograph);
  channel.postMessage(photograph.id);
  try {
    await server.remove(photograph.id);
  } catch (error) {
    if (error.status !== 404) throw error; // it may be gone already
  }
}

/** Delete all that are still to be deleted. */
export const finishAll = () => Promise.allSettled([...waiting.keys()].map(finish));

addEventListener("pagehide", finishAll);
