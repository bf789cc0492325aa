// How close the photograph is looked at: the frame that it is seen through, wheel, pinch, drag and double click.

const MOST = 8; // times as large as the whole photograph
const CLOSER = 2.5; // what a double click does
const STEP = 1.25; // what a key does
const TAP = 6; // pixels that a finger may move and still mean one point
const TWICE = { milliseconds: 350, pixels: 14 }; // between two taps that are one double tap

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const midway = ([one, other]) => [0, 1].map((i) => (one[i] + other[i]) / 2);
const apart = ([one, other]) => Math.hypot(one[0] - other[0], one[1] - other[1]);

/** `stage` is the frame, `sheet` what moves in it. `heard` has: tapped(event), doubled() of the second tap of two, looked(zoom). */
export function makeLens(easel, stage, sheet, heard) {
  let size = { width: 1, height: 1 };
  let zoom = 1;
  let centre = [0.5, 0.5]; // the shares of the photograph that lie in the middle of the frame
  let whole = [1, 1]; // pixels of the screen that the whole photograph has

  /** Lay out frame and sheet. */
  function fit() {
    const bars = ["#view-bar", "#film-bar", "#signed"].map((id) => easel.querySelector(id)); // those of them that take room
    const under = bars.reduce((sum, bar) => sum + (getComputedStyle(bar).position === "absolute" ? 0 : bar.offsetHeight), 0);
    const { paddingLeft, paddingTop, paddingBottom, maxHeight } = getComputedStyle(easel); // a height at most: where the page is longer than the screen
    if (!easel.clientWidth) return; // it is not to be seen
    const high = maxHeight === "none" || document.fullscreenElement === easel ? easel.clientHeight : parseFloat(maxHeight);
    const room = [easel.clientWidth - 2 * parseFloat(paddingLeft), high - parseFloat(paddingTop) - parseFloat(paddingBottom) - under];
    const scale = Math.min(room[0] / size.width, room[1] / size.height, Math.max(1, 1400 / Math.max(size.width, size.height)));
    whole = [size.width, size.height].map((side) => Math.max(1, Math.floor(side * scale)));
    const large = whole.map((side) => side * zoom);
    const frame = large.map((side, i) => Math.max(whole[i], Math.min(Math.floor(room[i]), side)));
    centre = centre.map((at, i) => clamp(at, frame[i] / 2 / large[i], 1 - frame[i] / 2 / large[i]));
    const offset = large.map((side, i) => frame[i] / 2 - centre[i] * side);
    Object.assign(stage.style, { width: `${frame[0]}px`, height: `${frame[1]}px` });
    Object.assign(sheet.style, { width: `${large[0]}px`, height: `${large[1]}px`, left: `${offset[0]}px`, top: `${offset[1]}px` });
    stage.style.setProperty("--x", (100 * offset[0]) / frame[0]);
    stage.classList.toggle("close", zoom > 1);
    heard.looked(zoom);
  }
  new ResizeObserver(fit).observe(easel);

  /** Where a pointer is, in pixels of the screen from the middle of the frame. */
  function fromMiddle([x, y]) {
    const box = stage.getBoundingClientRect();
    return [x - box.left - box.width / 2, y - box.top - box.height / 2];
  }

  /** Another zoom; what lies under `at` stays there. */
  function zoomTo(next, at) {
    const away = at ? fromMiddle(at) : [0, 0];
    const under = away.map((far, i) => centre[i] + far / whole[i] / zoom);
    zoom = clamp(next, 1, MOST);
    if (zoom < 1.02) zoom = 1;
    centre = under.map((point, i) => point - away[i] / whole[i] / zoom);
    fit();
  }

  function pan(x, y) {
    centre = [centre[0] - x / whole[0] / zoom, centre[1] - y / whole[1] / zoom];
    fit();
  }

  easel.addEventListener(
    "wheel",
    (event) => {
      const scrolls = document.documentElement.scrollHeight > innerHeight + 1 && !document.fullscreenElement;
      if (scrolls && !event.ctrlKey && !event.metaKey) return; // the wheel is the page's
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      zoomTo(zoom * Math.exp(-clamp(event.deltaY * lines, -120, 120) * (event.ctrlKey ? 0.01 : 0.0025)), [event.clientX, event.clientY]);
    },
    { passive: false },
  );
  stage.addEventListener("touchmove", (event) => event.touches.length > 1 && event.cancelable && event.preventDefault(), { passive: false });

  const down = new Map(); // the pointers upon it: where each is
  let still = null; // where the one pointer went down, while it means a point
  let tap = null; // the last: {at, when}
  let second = null; // the pointer of the second tap of two

  const isDouble = ({ clientX, clientY, timeStamp }) =>
    tap && timeStamp - tap.when < TWICE.milliseconds && apart([tap.at, [clientX, clientY]]) < TWICE.pixels;

  // What is done elsewhere in between, as choosing a colour, makes two taps of them.
  addEventListener("pointerdown", (event) => stage.contains(event.target) || (tap = null), true);
  stage.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0 || !isDouble(event)) return;
      second = event.pointerId;
      event.stopPropagation(); // it is not for the hint that the first one may have placed
    },
    true,
  );
  stage.addEventListener("pointerdown", (event) => {
    still = null;
    if (event.button !== 0 || event.target.closest(".hint, #divider i")) return;
    down.set(event.pointerId, [event.clientX, event.clientY]);
    if (down.size === 1) still = [event.clientX, event.clientY];
  });
  stage.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) return;
    const before = [...down.values()];
    const to = [event.clientX, event.clientY];
    if (down.size === 1 && still && apart([still, to]) < TAP) return;
    still = null;
    down.set(event.pointerId, to);
    const after = [...down.values()];
    if (down.size === 1 && zoom > 1) {
      stage.setPointerCapture(event.pointerId);
      pan(to[0] - before[0][0], to[1] - before[0][1]);
    } else if (down.size === 2) {
      const [from, at] = [midway(before), midway(after)];
      zoomTo((zoom * apart(after)) / Math.max(1, apart(before)), at);
      pan(at[0] - from[0], at[1] - from[1]);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    addEventListener(end, (event) => {
      down.delete(event.pointerId);
      if (end === "pointercancel") still = second = null;
    });
  }
  stage.addEventListener("pointerup", (event) => {
    const at = [event.clientX, event.clientY];
    if (second === event.pointerId) {
      second = tap = null;
      heard.doubled();
      zoomTo(zoom > 1 ? 1 : CLOSER, at);
    } else if (still && down.has(event.pointerId)) {
      tap = { at: still, when: event.timeStamp };
      still = null;
      heard.tapped(event);
    }
  });

  return {
    fit,
    pan,
    /** Another photograph: all of it is seen. */
    setSize(now) {
      [size, zoom, centre, tap] = [now, 1, [0.5, 0.5], null];
      fit();
    },
    zoom: () => zoom,
    closer: () => zoomTo(zoom * STEP),
    farther: () => zoomTo(zoom / STEP),
    all: () => zoomTo(1),
    /** Where a point, in shares of the photograph, is in the frame, in shares of that. */
    placeOf(share) {
      const [inner, outer] = [sheet, stage].map((one) => one.getBoundingClientRect());
      return [(inner.left - outer.left + share[0] * inner.width) / outer.width, (inner.top - outer.top + share[1] * inner.height) / outer.height];
    },
    /** Let a point, in shares of the photograph, be seen. */
    reveal(share) {
      if (zoom === 1) return;
      const room = [stage.clientWidth, stage.clientHeight].map((side, i) => Math.max(0, side / 2 - 24) / whole[i] / zoom);
      const next = centre.map((at, i) => clamp(at, share[i] - room[i], share[i] + room[i]));
      if (next.every((at, i) => at === centre[i])) return;
      centre = next;
      fit();
    },
  };
}
