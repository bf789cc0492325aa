// The photograph itself: before and after with a divider between, the hints upon it, placed and moved by pointer and by key.

import { makeLens } from "./lens.js";
import { makeRest } from "./rest.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const TAP = 6; // pixels that a finger may move and still mean one point

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const element = (id) => document.getElementById(id);

/** `heard` has: placed(point), unplaced() of what was placed last, moved(index, point, settled), selected(index), removed(index),
 *  colours(), looked(zoom). Points are in pixels of the upright photograph. */
export function makeStage(heard) {
  const [easel, stage, sheet, divider, layer, cursor] = ["easel", "stage", "sheet", "divider", "hints", "cursor"].map(element);
  const images = { before: element("before"), after: element("after") };
  const handle = divider.querySelector("i");
  let shown = null; // the photograph that is worked on
  let latest = {}; // its pictures that are to be seen next
  let size = { width: 1, height: 1 };
  let guided = false;
  let split = 50;
  let cross = null; // where the keyboard's cross is
  let hints = [];

  let placed = null; // the divider's place before the last click placed a hint
  const lens = makeLens(easel, stage, sheet, {
    tapped: (event) => {
      placed = guided ? { split } : null;
      if (guided) placeAt(pointOf(event));
    },
    doubled: () => {
      if (placed === null) return;
      setSplit(placed.split);
      placed = null;
      heard.unplaced();
    },
    looked: heard.looked,
  });

  function setSplit(percent) {
    split = clamp(percent, 0, 100);
    stage.style.setProperty("--at", split);
    divider.setAttribute("aria-valuenow", Math.round(split));
    divider.setAttribute("aria-valuetext", `${Math.round(split)} % as it was`);
  }

  /** The pixel of the photograph under a pointer. */
  function pointOf(event) {
    const box = sheet.getBoundingClientRect();
    return inside(((event.clientX - box.left) / box.width) * size.width, ((event.clientY - box.top) / box.height) * size.height);
  }
  const inside = (x, y) => ({ x: clamp(Math.floor(x), 0, size.width - 1), y: clamp(Math.floor(y), 0, size.height - 1) });
  const step = () => Math.max(1, Math.round(size.width / sheet.clientWidth)); // one pixel of the screen

  function put(node, { x, y }) {
    node.style.left = `${((x + 0.5) / size.width) * 100}%`;
    node.style.top = `${((y + 0.5) / size.height) * 100}%`;
  }

  handle.addEventListener("pointerdown", (event) => event.button === 0 && handle.setPointerCapture(event.pointerId));
  handle.addEventListener("pointermove", (event) => {
    const box = stage.getBoundingClientRect();
    if (handle.hasPointerCapture(event.pointerId)) setSplit(((event.clientX - box.left) / box.width) * 100);
  });
  divider.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: split - 2, ArrowRight: split + 2, Home: 0, End: 100, PageDown: split - 10, PageUp: split + 10 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    setSplit(to);
  });

  stage.addEventListener("keydown", (event) => {
    if (event.target !== stage || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow && !guided && lens.zoom() > 1) lens.pan(...arrow.map((way) => -way * (event.shiftKey ? 200 : 50)));
    else if (arrow && guided) {
      const far = step() * (event.shiftKey ? 40 : 10);
      cross = cross ? inside(cross.x + arrow[0] * far, cross.y + arrow[1] * far) : inside(size.width / 2, size.height / 2);
      cursor.hidden = false;
      put(cursor, cross);
      lens.reveal(shareOf(cross));
    } else if (event.key === "Enter" && guided && cross) {
      cursor.hidden = true;
      placeAt(cross);
    } else return;
    event.preventDefault();
  });
  stage.addEventListener("blur", () => (cursor.hidden = true));

  const shareOf = ({ x, y }) => [(x + 0.5) / size.width, (y + 0.5) / size.height];

  /** A hint is seen where the colour is: the divider gives way. */
  function placeAt(point) {
    if (lens.placeOf(shareOf(point))[0] * 100 < split + 2) setSplit(0);
    heard.placed(point);
  }

  function show(pin, hint, index) {
    pin.style.background = hint.color;
    pin.setAttribute("aria-label", `Hint ${index + 1} of ${hints.length}, ${hint.color}, at ${hint.x}, ${hint.y}`);
    put(pin, hint);
  }

  /** The pin of the hint of that number; `hints` says what it is. */
  function makePin(index) {
    const pin = Object.assign(document.createElement("button"), { className: "hint" });
    let from = null; // where the pointer took it
    let to = null; // where it is on its way to
    const go = (point) => {
      show(pin, { ...hints[index], ...(to = point) }, index);
      heard.moved(index, to, false);
    };
    const settle = () => {
      const there = to;
      from = to = null;
      if (there && pin.isConnected) heard.moved(index, there, true);
    };
    const rest = makeRest(settle);
    pin.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = [event.clientX, event.clientY];
      pin.setPointerCapture(event.pointerId);
    });
    pin.addEventListener("pointermove", (event) => {
      if (from && (to || Math.hypot(event.clientX - from[0], event.clientY - from[1]) >= TAP)) go(pointOf(event));
    });
    pin.addEventListener("pointerup", () => {
      if (!from) return;
      if (!to) heard.selected(index);
      settle();
    });
    pin.addEventListener("pointercancel", settle);
    pin.addEventListener("focus", () => {
      lens.reveal(shareOf(hints[index]));
      if (!from) heard.selected(index);
    });
    pin.addEventListener("blur", rest.now);
    pin.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow && event.key !== "Shift") rest.now();
      const { x, y } = to ?? hints[index];
      const far = step() * (event.shiftKey ? 10 : 1);
      if (arrow) {
        go(inside(x + arrow[0] * far, y + arrow[1] * far));
        lens.reveal(shareOf(to));
        rest.later();
      } else if (event.key === "Delete" || event.key === "Backspace") heard.removed(index);
      else if (event.key === "Enter") heard.colours();
      else if (event.key === "Escape") heard.selected(null);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    return pin;
  }

  return {
    /** Another photograph of so many pixels. */
    setPhotograph(photograph, isGuided) {
      const isNext = photograph.film && photograph.film === shown?.film; // another frame: seen as closely, and without a blink
      shown = photograph;
      latest = {};
      layer.replaceChildren();
      if (!isNext) for (const image of Object.values(images)) image.removeAttribute("src");
      size = { width: photograph.width, height: photograph.height };
      guided = isGuided;
      cross = null;
      cursor.hidden = true;
      stage.setAttribute("aria-label", `${photograph.name}, before and after`);
      if (isNext) return;
      lens.setSize({ width: size.width * (photograph.aspect ?? 1), height: size.height });
      setSplit(photograph.split ?? 50);
    },
    /** Show another frame for a moment: addresses of its pictures that are there already. */
    flip(before, after) {
      latest = {};
      Object.assign(images.before, { src: before });
      Object.assign(images.after, { src: after });
    },
    /** Whether frames go by: then no hint belongs to what is seen. */
    moving: (is) => stage.classList.toggle("moving", is),
    /** Show a picture of a photograph, if that is the one that is worked on, and no later picture has come meanwhile. */
    async show(which, url, photograph) {
      if (photograph !== shown) return;
      const next = (latest[which] = Object.assign(new Image(), { src: url }));
      await next.decode().catch((error) => latest[which] === next && Promise.reject(error));
      if (latest[which] === next) images[which].src = url;
    },
    /** Show these hints; where the focus was on one, it is on the one that is chosen, or on the photograph. */
    setHints(now, chosen) {
      hints = now;
      const hadFocus = layer.contains(document.activeElement);
      while (layer.children.length > hints.length) layer.lastChild.remove();
      while (layer.children.length < hints.length) layer.append(makePin(layer.children.length));
      hints.forEach((hint, index) => {
        layer.children[index].setAttribute("aria-pressed", index === chosen);
        show(layer.children[index], hint, index);
      });
      if (hadFocus) (layer.children[chosen] ?? stage).focus();
    },
    focus: () => stage.focus(),
    focusHint: (index) => layer.children[index]?.focus(),
    /** Whether new colours are on their way. */
    busy: (is) => stage.classList.toggle("busy", is),
    /** Whether the photograph is shown as it is, wherever the divider may be. */
    peek: (is) => stage.classList.toggle("peek", is),
    /** Show how far the colour of a hint goes; null where nothing bounds it. */
    ring(hint) {
      const ring = element("ring");
      ring.hidden = !hint?.radius;
      if (!hint?.radius) return;
      put(ring, hint);
      ring.style.width = `${(200 * hint.radius) / size.width}%`;
    },
    /** Where a hint, or the middle of what is seen, is in the frame: in shares of it. */
    placeOf: (hint) => (hint ? lens.placeOf(shareOf(hint)).map((at) => clamp(at, 0.05, 0.95)) : [0.5, 0.5]),
    closer: lens.closer,
    farther: lens.farther,
    all: lens.all,
    fit: lens.fit,
    split: () => split,
    /** The colour that is seen at a point: [r, g, b]. */
    colorAt(which, { x, y }) {
      const image = images[which];
      if (!image.naturalWidth) return [128, 128, 128];
      const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
      const paper = canvas.getContext("2d");
      const at = [((x + 0.5) / size.width) * image.naturalWidth, ((y + 0.5) / size.height) * image.naturalHeight];
      paper.drawImage(image, Math.floor(at[0]), Math.floor(at[1]), 1, 1, 0, 0, 1, 1);
      return [...paper.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    },
  };
}
