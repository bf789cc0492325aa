// What leaves the page: copies at full size, one or all, and before and after for sharing. And what is said of it.

import * as album from "./album.js";
import * as copies from "./copies.js";
import * as removal from "./removal.js";
import * as server from "./server.js";
import { compare, makeSaving } from "./saving.js";

/** What may be wrong with a copy, in a sentence of its own. */
const warned = ({ warnings }) => (warnings.length ? ` Look at it: ${warnings.join("; ")}.` : "");
const element = (id) => document.getElementById(id);

/** `current()`: the photograph that is worked on. `say`, `complain`, `blame(photograph, error)`: where words go. */
export function makeDownloads(photographs, current, { say, complain, blame }) {
  let wish = () => ({}); // how copies are saved

  async function download() {
    const photograph = current();
    album.settle(photograph);
    const { state } = photograph;
    try {
      const [copy] = await copies.make([photograph], wish(), say);
      if (copy.state !== "ready") throw new Error(copy.reason);
      copies.save(server.copyPath(photograph.id));
      const link = (href, textContent) => Object.assign(document.createElement("a"), { href, textContent, download: "" });
      const record = link(server.sidecarPath(photograph.id), "a record of how it was made");
      const kinds = { jws: "the signature of that record", c2pa: "the copy's own credentials" };
      const beside = (copy.beside ?? []).map((name) => link(server.besidePath(photograph.id, name), kinds[name.split(".").pop()]));
      const notes = copy.not_carried.length ? ` Not carried along: ${copy.not_carried.join(", ")}.` : "";
      const note = Object.assign(document.createElement("span"), { className: "saved" });
      note.append(`Saved at full size${beside.length ? " and signed" : ""}, with `, record, ...beside.flatMap((one) => [one === beside.at(-1) ? " and " : ", ", one]), `.${copy.reason ? ` Note: ${copy.reason}.` : ""}${notes}${warned(copy)}`);
      photograph.saved = { state, note };
      say("");
      sayWhatWasSaved();
    } catch (error) {
      say("");
      blame(photograph, error);
    }
  }

  /** What is said of a copy is said while its photograph is shown as it was copied. */
  function sayWhatWasSaved() {
    const { saved, state } = current();
    const note = saved?.state === state ? saved.note : null;
    if (note?.isConnected) return; // somebody may be about to click on it
    if (note) say(note);
    else if (element("status").querySelector(".saved")) say("");
  }

  async function downloadAll() {
    try {
      await removal.finishAll();
      const mine = [...photographs];
      for (const one of mine) if (one.saved?.state !== one.state) one.saved = null; // its record will be of another copy
      const made = await copies.make(mine, wish(), say);
      made.forEach((copy, i) => copy.state !== "ready" && blame(mine[i], new Error(copy.reason)));
      made.forEach((copy, i) => copy.state === "ready" && copy.warnings.length && complain(`${mine[i].name}:${warned(copy)}`));
      const saved = made.filter(({ state }) => state === "ready").length;
      if (saved) copies.save(server.copiesPath);
      say(`${saved} saved, ${made.length - saved} failed`);
    } catch (error) {
      say("");
      complain(error.message);
    }
  }

  async function share(kind) {
    const photograph = current();
    album.settle(photograph);
    element("saving").hidePopover();
    say("Putting before and after together…");
    try {
      await compare(photograph, kind);
      say("Saved before and after; it says that the colours are by AI.");
    } catch (error) {
      say("");
      blame(photograph, error);
    }
  }

  /** Offer these formats of the server. */
  function offer(formats) {
    wish = makeSaving(formats, () => {
      for (const one of photographs) one.saved = null; // what was said is of a copy of another kind
      if (current()) sayWhatWasSaved();
    });
  }

  return { download, downloadAll, share, sayWhatWasSaved, offer };
}
