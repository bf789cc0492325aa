// How copies are saved: their format and quality, which the browser remembers; and before and after in one picture.

import * as server from "./server.js";
import { save } from "./copies.js";
import { withServer } from "./album.js";

const KEY = "colorjax-saving";
const NAMES = { JPEG2000: "JPEG 2000", JXL: "JPEG XL", WEBP: "WebP", HEIF: "HEIC" };
const element = (id) => document.getElementById(id);

function recall() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // the browser keeps nothing
  }
}

function keep(wish) {
  try {
    localStorage.setItem(KEY, JSON.stringify(wish));
  } catch {
    // the browser keeps nothing: it is as it was, next time
  }
}

/** `formats`: those of the server. `changed()` is called when copies are to be of another kind. Gives what is wished. */
export function makeSaving(formats, changed) {
  const [format, quality] = [element("format"), element("quality")];
  for (const { name, suffix } of formats) format.append(new Option(`${NAMES[name] ?? name} (${suffix})`, name));
  const { format: name = null, quality: before } = recall();
  if (formats.some((one) => one.name === name)) format.value = name;
  if (before) quality.value = before;

  function draw() {
    const exact = formats.some((one) => one.name === format.value && !one.lossy);
    element("quality-line").hidden = exact;
    element("quality-value").value = quality.value;
  }
  for (const one of [format, quality]) one.addEventListener("input", draw);
  const wish = () => ({ format: format.value || null, quality: quality.valueAsNumber });
  function change() {
    keep(wish());
    changed();
  }
  for (const one of [format, quality]) one.addEventListener("change", change);
  draw();
  return wish;
}

const SUFFIX = { pair: ".before-after.jpg", clip: ".before-after.gif" };

/** Save before and after of a photograph in one picture: "pair" is side by side, "clip" a GIF. */
export async function compare(photograph, kind) {
  const url = URL.createObjectURL(await withServer(photograph, (id) => server.compare(id, photograph.state, kind)));
  save(url, photograph.name.replace(/\.[^.]*$/, "") + SUFFIX[kind]);
  setTimeout(() => URL.revokeObjectURL(url), 2000);
}
