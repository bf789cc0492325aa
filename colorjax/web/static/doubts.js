// Where the colours are a guess: a veil upon the photograph, for those who ask for it.

import * as server from "./server.js";
import { withServer } from "./album.js";

const element = (id) => document.getElementById(id);

/** `current()` is the photograph that is looked at; `failed(photograph, error)` hears what went wrong. Gives a function to be called
 *  when there are other colours. */
export function makeDoubts(current, failed) {
  const [box, veil, note] = ["doubts", "veil-of-doubt", "doubts-note"].map(element);
  let shown = null; // what the veil is of
  let calibrated = false;
  const kindOf = ({ id, state }) => JSON.stringify([id, state.hints, state.variant]);

  function wordsFor({ state }) {
    if (!calibrated) return "Violet: the colour is a guess. Clear: the network is sure of it. It was not measured how far off it is.";
    if (state.variant) return "Violet: the colour may be far off. Clear: it is likely. How far off is measured for the likeliest colours only.";
    return "Violet: the colour may be far off. Clear: it is nearly right, as far as was measured.";
  }

  async function draw() {
    const photograph = current();
    const wanted = box.checked && photograph ? kindOf(photograph) : null;
    veil.hidden = wanted === null || wanted !== shown;
    note.hidden = wanted === null;
    if (wanted === null || wanted === shown) return;
    shown = wanted;
    note.textContent = "Looking for what is a guess…";
    try {
      const picture = await withServer(photograph, (id) => server.doubt(id, photograph.state));
      if (shown !== wanted) return;
      URL.revokeObjectURL(veil.src);
      veil.src = URL.createObjectURL(picture);
      await veil.decode();
      note.textContent = wordsFor(photograph);
    } catch (error) {
      if (shown !== wanted) return; // another one is wanted by now
      shown = null;
      box.checked = false;
      note.hidden = true;
      if (error.status !== 409) failed(photograph, error); // another tab asks for it
      return;
    }
    veil.hidden = !box.checked || shown !== wanted;
  }
  box.addEventListener("change", draw);
  /** Whether this network's uncertainty was measured. */
  draw.know = (is) => (calibrated = is);
  return draw;
}
