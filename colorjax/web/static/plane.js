// All colours of one lightness, to choose from: a* to the right, b* upwards. Only chroma is chosen; lightness is the photograph's.

import { fromCode, toCode, toLab, toRgb } from "./color.js";

const REACH = 100; // Lab units from the middle to the sides

/** `chosen(code, settled)` hears the colour while it is looked for, and once it is settled. */
export function makePlane(canvas, chosen) {
  const paper = canvas.getContext("2d");
  let lightness = 50;
  let place = [0, 0];

  const unit = () => (2 * REACH) / canvas.width;
  const abAt = (x, y) => [(x - canvas.width / 2) * unit(), (canvas.height / 2 - y) * unit()];

  function draw() {
    const picture = paper.createImageData(canvas.width, canvas.height);
    for (let y = 0, at = 0; y < canvas.height; y++) {
      for (let x = 0; x < canvas.width; x++, at += 4) {
        const rgb = toRgb([lightness, ...abAt(x + 0.5, y + 0.5)]);
        if (rgb) picture.data.set([...rgb, 255], at);
      }
    }
    paper.putImageData(picture, 0, 0);
    const [x, y] = [canvas.width / 2 + place[0] / unit(), canvas.height / 2 - place[1] / unit()];
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
    chosen(toCode(rgb ?? toRgb([lightness, 0, 0])), settled);
  }

  function point(event, settled) {
    const box = canvas.getBoundingClientRect();
    choose(abAt(((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height), settled);
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    point(event, false);
  });
  canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && point(event, false));
  canvas.addEventListener("pointerup", (event) => point(event, true));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-3, 0], ArrowRight: [3, 0], ArrowUp: [0, 3], ArrowDown: [0, -3] }[event.key];
    if (!step) return;
    event.preventDefault();
    choose([place[0] + step[0], place[1] + step[1]], true);
  });

  return {
    /** Show the colours of this lightness, and where `code` is among them. */
    show(code, l) {
      lightness = Math.min(97, Math.max(8, l));
      place = toLab(fromCode(code)).slice(1);
      draw();
    },
  };
}
