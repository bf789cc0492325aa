// Keys come in runs: what a run leads to is settled once, when they rest.

const PAUSE = 600; // milliseconds

/** `later()` has `settle()` called after a while without another key, `now()` at once if it is still to come. */
export function makeRest(settle) {
  let timer = null;
  const now = () => {
    if (timer === null) return;
    clearTimeout(timer);
    timer = null;
    settle();
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(now, PAUSE);
  };
  return { later, now };
}
