// That something is being done, said where the eye is: on the photograph, and how long it may last.

const SOON = 300; // milliseconds: what is done by then needs no words
const element = (id) => document.getElementById(id);
const learnt = new Map(); // what is done -> seconds that it takes, a mean of which the latest counts most

/** Seconds that something took, of a size. */
export function took(what, seconds, size = 1) {
  const now = seconds / size;
  learnt.set(what, learnt.has(what) ? 0.5 * learnt.get(what) + 0.5 * now : now);
}

/** Seconds that it may take, by what it took before; null where it was never done. */
export const expected = (what, size = 1) => (learnt.has(what) ? learnt.get(what) * size : null);

/** How much longer, in words. `elapsed`, `whole`: seconds; whole may be null. */
export function remaining(elapsed, whole) {
  if (whole === null) return elapsed < 3 ? "the first takes longest" : `${Math.round(elapsed)} s; the first takes longest`;
  const left = Math.ceil(whole - elapsed);
  return left > 0 ? `about ${left} s` : "a little longer";
}

/** `begin(what, at)` shows it at a place, in shares of the frame, until `end()`. */
export function makeWorking() {
  const pill = element("working");
  let timer = null;

  function end() {
    clearInterval(timer);
    timer = null;
    pill.hidden = true;
  }

  function begin(what, [x, y]) {
    end();
    const since = performance.now();
    const whole = expected(what);
    Object.assign(pill.style, { left: `${100 * x}%`, top: `${100 * y}%` });
    pill.classList.toggle("sure", whole !== null);
    const tell = () => {
      const elapsed = (performance.now() - since) / 1000;
      if (elapsed < SOON / 1000) return;
      pill.hidden = false;
      pill.style.setProperty("--share", whole === null ? 0 : 1 - Math.exp((-2 * elapsed) / whole));
      pill.querySelector("span").textContent = `Colouring… ${remaining(elapsed, whole)}`;
    };
    timer = setInterval(tell, 100);
  }

  return { begin, end };
}
