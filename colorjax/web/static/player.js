// Below a frame: which one of its shot it is, the shot tried in colour, and played before and after.

import * as server from "./server.js";
import { isWorking, sentence, shotOf } from "./reel.js";

const LOOK = 400; // milliseconds between two looks at what is being done
const REST = 250; // milliseconds without another frame, after which one is worked on
const KEPT = 4; // shots of a film that are kept in colour
const TOLD = 3; // hints of which each has a line of its own

const element = (id) => document.getElementById(id);

/** The pictures in what the server sends of a shot: grey and coloured in turn, each behind its length. */
function unpack(buffer) {
  const [view, pictures] = [new DataView(buffer), []];
  for (let at = 0; at < buffer.byteLength; ) {
    const size = view.getUint32(at);
    pictures.push(URL.createObjectURL(new Blob([new Uint8Array(buffer, at + 4, size)], { type: "image/jpeg" })));
    at += 4 + size;
  }
  const every = (which) => pictures.filter((_, i) => i % 2 === which);
  return { before: every(0), after: every(1) };
}

/** As 0:01.52 */
export function clock(seconds) {
  const rest = (seconds % 60).toFixed(2).padStart(5, "0");
  return `${Math.floor(seconds / 60)}:${rest}`;
}

/** `page`: see `makeFilms`; also still(film, frame). */
export function makePlayer(page) {
  const [play, slider, value, note] = ["play", "frame", "frame-value", "carried"].map(element);
  let shown = null; // the frame that is worked on
  let trying = null; // {film, shot, words}
  let timer = null; // of what is played
  let rest = null;

  const triedOf = (one) => one?.film.tries.get(shotOf(one.film, one.frame));
  /** Whether a frame was tried: of a long shot that is a part. */
  const isTried = (one) => Boolean(triedOf(one)?.after[one.frame - triedOf(one).first]);

  function sayWhere(frame) {
    const { film } = shown;
    const words = `Frame ${frame} · ${clock(frame / film.rate)}`;
    value.value = words;
    slider.setAttribute("aria-valuetext", words);
  }

  function draw(one) {
    if (one !== shown) halt();
    shown = one;
    if (!one) return;
    const { film, frame } = one;
    const shot = shotOf(film, frame);
    const [first, end] = film.shots[shot];
    Object.assign(slider, { min: first, max: end - 1 });
    slider.value = frame;
    sayWhere(frame);
    drawButton();
    const told = triedOf(one)?.told ?? [];
    const more = told.length > TOLD ? [`${told.length - TOLD} more hints`] : [];
    note.replaceChildren(
      ...[...told.slice(0, TOLD), ...more].map((words) => Object.assign(document.createElement("p"), { textContent: sentence(words) })),
    );
  }

  function drawButton() {
    if (!shown) return;
    const isMine = trying && trying.film === shown.film;
    const words = isMine ? "Stop" : !isTried(shown) ? "Try this shot" : timer ? "Pause" : "Play";
    play.textContent = words;
    play.setAttribute("aria-pressed", Boolean(timer));
    play.title = `${words} (P)`;
    element("trying").textContent = isMine ? trying.words : "";
  }

  /** Show a frame while others come and go. */
  function flip(frame) {
    const tried = triedOf(shown);
    const at = frame - (tried?.first ?? 0);
    slider.value = frame;
    sayWhere(frame);
    if (!tried?.after[at]) return false;
    page.stage.moving(true);
    page.stage.flip(tried.before[at], tried.after[at]);
    return true;
  }

  /** Work on the frame that is seen. */
  function settle() {
    clearTimeout(rest);
    rest = null;
    const frame = slider.valueAsNumber;
    page.stage.moving(false);
    if (shown && frame !== shown.frame) page.open(page.still(shown.film, frame));
    else if (shown) page.open(shown);
  }

  function halt() {
    clearInterval(timer);
    clearTimeout(rest);
    timer = rest = null;
    page.stage.moving(false);
  }

  function start() {
    const tried = triedOf(shown);
    const { rate } = shown.film;
    const last = tried.first + tried.after.length - 1;
    const from = slider.valueAsNumber >= last || slider.valueAsNumber < tried.first ? tried.first : slider.valueAsNumber;
    const since = performance.now();
    timer = setInterval(() => {
      const frame = from + Math.floor(((performance.now() - since) / 1000) * rate);
      if (frame <= last) return flip(frame);
      flip(last);
      pause();
    }, 1000 / Math.min(rate, 60));
    drawButton();
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    settle();
    drawButton();
  }

  async function attempt() {
    const { film, frame } = shown;
    const mine = (trying = { film, shot: shotOf(film, frame), words: "Waiting…" });
    drawButton();
    try {
      await page.kept(film);
      if (trying !== mine) return;
      let about = await server.tryShot(film.id, frame, film.strength);
      while (trying === mine && isWorking(about.tried)) {
        const { state, done, total } = about.tried;
        mine.words = state === "waiting" ? "Waiting for another film…" : `Colouring: ${done} of ${total} frames`;
        drawButton();
        await new Promise((done) => setTimeout(done, LOOK));
        about = await server.film(film.id);
      }
      const { tried } = about;
      if (trying !== mine || tried.state === "cancelled") return;
      if (tried.state !== "ready") throw new Error(tried.reason);
      const pictures = unpack(await server.tried(film.id));
      if (trying !== mine || shotOf(film, tried.first) !== mine.shot) return;
      trying = null;
      keep(film, mine.shot, { ...pictures, first: tried.first, told: tried.told });
      if (shown?.film === film && shotOf(film, shown.frame) === mine.shot) {
        await page.open(page.still(film, shown.frame));
        start();
      }
    } catch (error) {
      page.blame(film, error);
    } finally {
      if (trying === mine) trying = null;
      drawButton();
    }
  }

  function keep(film, shot, tried) {
    forget(film, shot); // another part of it
    film.tries.set(shot, tried);
    const here = shown?.film === film ? shotOf(film, shown.frame) : shot;
    for (const old of [...film.tries.keys()].filter((one) => one !== shot && one !== here).slice(0, Math.max(0, film.tries.size - KEPT))) forget(film, old);
  }

  /** A shot that was tried is not what is asked for any more. `current`: the frame that is looked at, which shows its own. */
  function forget(film, shot, current = null) {
    if (trying?.film === film && trying.shot === shot) stop();
    const tried = film.tries.get(shot);
    if (!tried) return;
    film.tries.delete(shot);
    for (const one of film.stills.values()) {
      const at = one.frame - tried.first;
      if (one === current || one.urls.after !== tried.after[at]) continue;
      Object.assign(one, { urls: {}, before: null, stale: false });
    }
    const used = current ? [current.urls.before, current.urls.after] : [];
    for (const url of [...tried.before, ...tried.after]) if (!used.includes(url)) URL.revokeObjectURL(url);
  }

  function stop() {
    if (!trying) return;
    server.stopTrying(trying.film.id).catch(() => {});
    trying = null;
    drawButton();
  }

  function toggle() {
    if (!shown) return;
    if (trying?.film === shown.film) stop();
    else if (timer) pause();
    else if (isTried(shown)) start();
    else attempt();
  }

  play.addEventListener("click", toggle);
  slider.addEventListener("input", () => {
    if (timer) {
      clearInterval(timer);
      timer = null;
      drawButton();
    }
    flip(slider.valueAsNumber);
    clearTimeout(rest);
    rest = setTimeout(settle, REST);
  });
  element("stage").addEventListener("pointerdown", () => timer && pause(), true); // a hint is for the frame that is seen

  return {
    draw,
    toggle,
    stop,
    forget,
    /** Go so many frames on, or back, in the shot. */
    step(by) {
      if (!shown) return;
      if (timer) pause();
      const to = Math.min(Number(slider.max), Math.max(Number(slider.min), shown.frame + by));
      if (to !== shown.frame) page.open(page.still(shown.film, to));
    },
  };
}
