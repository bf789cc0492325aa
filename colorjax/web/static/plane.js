// All colours that sRGB has at one lightness: a* to the right, b* upwards. Only chroma is chosen; lightness is the photograph's.

import { makeRest } from "./rest.js";
import { fromCode, toCode, toLab, toRgb } from "./color.js";

const REACH = 120; // Lab units beyond which sRGB has no colour
const MARGIN = 1.12;

/** The part of the ab plane that has colours of this lightness: its middle, and Lab units for each pixel of a canvas. */
function part(lightness, { width, height }) {
  const has = [];
  for (let a = -REACH; a <= REACH; a += 3) for (let b = -REACH; b <= REACH; b += 3) if (toRgb([lightness, a, b])) has.push([a, b]);
  const [low, high] = [Math.min, Math.max].map((pick) => [0, 1].map((i) => pick(...has.map((ab) => ab[i]), 0)));
  const unit = MARGIN * Math.max((high[0] - low[0]) / width, (high[1] - low[1]) / height, 0.02);
  return { unit, middle: [0, 1].map((i) => (low[i] + high[i]) / 2) };
}

/** `chosen(code, settled)` hears the colour while it is looked for, and once it is settled. */
export function makePlane(canvas, chosen) {
  const paper = canvas.getContext("2d");
  let lightness = null;
  let place = [0, 0];
  let last = null; // the colour that was chosen
  let shown = null; // the window
  let colours = null; // of the canvas, without the ring

  const abAt = (x, y) => [
    shown.middle[0] + (x - canvas.width / 2) * shown.unit,
    shown.middle[1] + (canvas.height / 2 - y) * shown.unit,
  ];

  function paint() {
    shown = part(lightness, canvas);
    colours = paper.createImageData(canvas.width, canvas.height);
    for (let y = 0, at = 0; y < canvas.height; y++) {
      for (let x = 0; x < canvas.width; x++, at += 4) {
        const rgb = toRgb([lightness, ...abAt(x + 0.5, y + 0.5)]);
        if (rgb) colours.data.set([...rgb, 255], at);
      }
    }
  }

  function draw() {
    paper.putImageData(colours, 0, 0);
    const x = canvas.width / 2 + (place[0] - shown.middle[0]) / shown.unit;
    const y = canvas.height / 2 - (place[1] - shown.middle[1]) / shown.unit;
    for (const [color, radius] of [["#000", 7], ["#fff", 6]]) {
      paper.strokeStyle = color;
      paper.lineWidth = 1.5;
      paper.beginPath();
      paper.arc(x, y, radius, 0, 7);
      paper.stroke();
    }
  }

  /** Choose what lies there; outside of sRGB, the most colourful of that hue. */
  function choose(ab, settled) {
    let rgb = null;
    for (let share = 1; !rgb && share >= 0; share -= 0.02) {
      place = ab.map((value) => value * share);
      rgb = toRgb([lightness, ...place]);
    }
    draw();
    last = toCode(rgb ?? toRgb([lightness, 0, 0]));
    chosen(last, settled);
  }
  const rest = makeRest(() => chosen(last, true));

  function point(event, settled) {
    const box = canvas.getBoundingClientRect();
    choose(abAt(((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height), settled);
  }

  let pressed = null; // the pointer that went down here
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || pressed !== null) return;
    pressed = event.pointerId;
    canvas.setPointerCapture(pressed);
    point(event, false);
  });
  canvas.addEventListener("pointermove", (event) => event.pointerId === pressed && point(event, false));
  canvas.addEventListener("pointerup", (event) => {
    if (event.pointerId !== pressed) return;
    pressed = null;
    point(event, true);
  });
  canvas.addEventListener("pointercancel", (event) => {
    if (event.pointerId !== pressed) return;
    pressed = null;
    chosen(last, true);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-3, 0], ArrowRight: [3, 0], ArrowUp: [0, 3], ArrowDown: [0, -3] }[event.key];
    if (!step) return event.key === "Shift" || rest.now();
    event.preventDefault();
    choose([place[0] + step[0], place[1] + step[1]], false);
    rest.later();
  });
  canvas.addEventListener("blur", rest.now);

  return {
    /** Show the colours of this lightness, and where `code` is among them. */
    show(code, l) {
      const wanted = Math.round(Math.min(97, Math.max(8, l)));
      const [width, height] = [canvas.clientWidth || canvas.width, canvas.clientHeight || canvas.height];
      if (wanted !== lightness || width !== canvas.width || height !== canvas.height) {
        lightness = wanted;
        Object.assign(canvas, { width, height });
        paint();
      }
      place = toLab(fromCode(code)).slice(1);
      draw();
    },
  };
}
