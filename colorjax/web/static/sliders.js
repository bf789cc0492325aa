// Strength, warmth and saturation of a photograph, and how far a hint reaches.

import { makeRest } from "./rest.js";

const element = (id) => document.getElementById(id);
const percent = (value) => `${Math.round(value * 100)} %`;
const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(Math.round(value * 100));
export const LOOK = { strength: percent, warmth: signed, saturation: signed };
const NEAREST = 3; // pixels
const FAR = 100; // of the slider: as far as it goes

/** `changed(what, settled)` hears {strength}, {warmth} or {saturation}; `reached(how, settled)` {radius} in pixels, null for no bound, or
 *  {reach}: "soft", null for that of its object. */
export function makeSliders(changed, reached) {
  let half = 1; // of the photograph's shorter side, in pixels

  function listen(id, tell) {
    const rest = makeRest(() => tell(true));
    element(id).addEventListener("input", () => tell(false));
    element(id).addEventListener("change", rest.later); // keys change it once each
    element(id).addEventListener("blur", rest.now);
  }
  for (const id of Object.keys(LOOK)) listen(id, (settled) => changed(settled ? {} : { [id]: element(id).valueAsNumber }, settled));
  listen("reach", (settled) => {
    const at = element("reach").valueAsNumber;
    reached({ radius: at >= FAR ? null : Math.max(NEAREST, Math.round(half * (at / FAR) ** 2)) }, settled);
  });
  element("object").addEventListener("change", () => reached({ reach: element("object").checked ? null : "soft" }, true));

  return {
    /** Those of a photograph with such a state, and of the hint that is chosen in it, if one is. */
    show(state, hint, { width, height }) {
      half = Math.min(width, height) / 2;
      for (const [id, words] of Object.entries(LOOK)) {
        element(id).value = state[id];
        element(`${id}-value`).value = words(state[id]);
      }
      const radius = hint?.radius ?? null;
      element("object").checked = hint?.reach !== "soft";
      if (document.activeElement !== element("reach") || radius === null) {
        element("reach").value = radius === null ? FAR : Math.min(FAR - 1, FAR * Math.sqrt(radius / half));
      }
      element("reach-value").value = radius === null ? (hint?.reach === "soft" ? "as far as it goes" : "all of the object") : `${radius} pixels`;
    },
  };
}
