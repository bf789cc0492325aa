// The colours of the hint that is chosen: the likely ones there, all of its lightness, an exact one, those used before.

import { distance, fromCode, readCode, toLab } from "./color.js";
import { makePlane } from "./plane.js";

const element = (id) => document.getElementById(id);
const KEPT = 10;
const READ = 10000; // milliseconds in which words about a colour are read
const ALIKE = 5; // Delta E below which two suggestions are one

/** Suggestions [{color, share}], the likeliest first, without those that look like another: it has their share. */
function distinct(found) {
  const kept = [];
  for (const { color, share } of found) {
    const lab = toLab(fromCode(color));
    const same = kept.find((other) => distance(lab, other.lab) < ALIKE);
    if (same) same.share += share;
    else kept.push({ color, share, lab });
  }
  return kept.sort((one, other) => other.share - one.share);
}

/** `heard` has: colored(code, settled), removed(). */
export function makePalette(heard) {
  const [suggestions, used, picker, code, told] = ["suggestions", "used", "picker", "code", "code-told"].map(element);
  const plane = makePlane(element("plane"), (color, settled) => tell(color, settled));
  let color = "#808080"; // of the hint
  let lately = [];

  function tell(now, settled) {
    write(now);
    told.textContent = "";
    if (settled) remember(now);
    heard.colored(now, settled);
  }

  function write(now) {
    picker.value = code.value = color = now;
    code.removeAttribute("aria-invalid");
    mark();
  }

  function mark() {
    for (const swatch of document.querySelectorAll("#tools .swatch")) swatch.setAttribute("aria-pressed", swatch.value === color);
  }

  function remember(color) {
    lately = [color, ...lately.filter((other) => other !== color)].slice(0, KEPT);
    element("used-before").hidden = false;
    used.replaceChildren(...lately.map((one) => makeSwatch(one, one)));
  }

  function makeSwatch(color, label) {
    const swatch = document.createElement("button");
    Object.assign(swatch, { className: "swatch", value: color, title: label });
    swatch.style.background = color;
    swatch.setAttribute("aria-label", label);
    swatch.addEventListener("click", () => tell(color, true));
    return swatch;
  }

  picker.addEventListener("input", () => tell(picker.value, false));
  picker.addEventListener("change", () => tell(picker.value, true));
  code.addEventListener("input", () => {
    code.removeAttribute("aria-invalid");
    told.textContent = "";
  });
  code.addEventListener("change", () => {
    const meant = readCode(code.value);
    if (meant) tell(meant, true);
    else {
      code.setAttribute("aria-invalid", true);
      const words = `“${code.value}” is no colour that is known here. Write a name, as blue or sienna, or a code, as #23408e.`;
      told.textContent = words;
      setTimeout(() => told.textContent === words && (told.textContent = ""), READ);
    }
  });
  code.addEventListener("blur", () => write(color)); // what was no colour does not stay
  element("remove-hint").addEventListener("click", () => heard.removed());

  return {
    /** The hint that is chosen, and the colour [r, g, b] of the photograph there. */
    show(hint, title, rgb) {
      if (title !== element("hint-title").textContent) told.textContent = "";
      element("hint-title").textContent = title;
      plane.show(hint.color, toLab(rgb)[0]);
      write(hint.color);
    },
    /** [{color, share}], or null while they are looked for. */
    suggest(found) {
      const waits = suggestions.contains(document.activeElement);
      suggestions.replaceChildren(
        ...distinct(found ?? []).map(({ color, share }) => {
          const percent = `${Math.round(100 * share)} %`;
          const cell = Object.assign(document.createElement("span"), { className: "share" });
          cell.append(makeSwatch(color, `${color}, ${percent}`), percent);
          return cell;
        }),
      );
      mark();
      if (waits) this.focus();
    },
    /** To the likeliest colour, once it is there. */
    focus: () => (suggestions.querySelector("button") ?? suggestions).focus(),
  };
}
