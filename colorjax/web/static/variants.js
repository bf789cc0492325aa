// Other likely colours of a photograph, to choose from: asked for when somebody wants to see them.

import * as server from "./server.js";
import { withServer } from "./album.js";

const element = (id) => document.getElementById(id);

/** `current()`: the photograph that is looked at; `chosen(number)` hears which; `failed(photograph, error)` what went wrong. */
export function makeVariants(current, chosen, failed) {
  const [section, ask, row, note] = ["variants", "ask-variants", "variant-row", "variants-note"].map(element);
  let count = 1;
  let shown = null; // what the pictures are of
  const kindOf = ({ id, state }) => JSON.stringify([id, { ...state, variant: 0 }]);

  function mark() {
    for (const [number, button] of [...row.children].entries()) button.setAttribute("aria-pressed", number === current().state.variant);
  }

  function makeButton(number) {
    const button = document.createElement("button");
    const words = number ? `Variant ${number + 1}` : "The likeliest colours";
    Object.assign(button, { className: "variant", title: words });
    button.setAttribute("aria-label", words);
    button.append(Object.assign(document.createElement("img"), { alt: "" }));
    button.addEventListener("click", () => chosen(number));
    return button;
  }

  async function look() {
    const photograph = current();
    const wanted = (shown = kindOf(photograph));
    note.textContent = "Looking for other likely colours…";
    ask.hidden = true;
    try {
      const pictures = [];
      for (let number = 0; number < count; number++) {
        const state = { ...photograph.state, variant: number };
        pictures.push(await withServer(photograph, (id) => server.variant(id, state, number)));
        if (shown !== wanted) return;
      }
      row.replaceChildren(...pictures.map((_, number) => makeButton(number)));
      pictures.forEach((picture, number) => (row.children[number].firstChild.src = URL.createObjectURL(picture)));
      row.hidden = false;
      note.textContent = "";
      mark();
    } catch (error) {
      if (shown !== wanted) return;
      forget();
      if (error.status !== 409) failed(photograph, error); // another tab asks for it
    }
  }

  function forget() {
    shown = null;
    for (const { src } of row.querySelectorAll("img")) URL.revokeObjectURL(src);
    row.replaceChildren();
    row.hidden = true;
    note.textContent = "";
    ask.hidden = false;
  }
  ask.addEventListener("click", look);

  return {
    /** Of a server that has so many. */
    offer: (many) => (count = many),
    /** For the photograph that is looked at now, as it is asked for now. */
    draw() {
      section.hidden = count < 2;
      if (shown !== null && shown !== kindOf(current())) forget();
      else mark();
    },
  };
}
