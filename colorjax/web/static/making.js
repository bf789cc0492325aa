// The whole film: in which format, how far it is, given up, and what is there to be saved.

import * as server from "./server.js";
import { isWorking } from "./reel.js";

const LOOK = 1000; // milliseconds between two looks
const NAMES = {
  ffv1: "For keeping: FFV1, nothing is lost",
  prores: "For editing: ProRes",
  h264: "For looking at: H.264",
  hevc: "For looking at: HEVC, smaller",
};
const element = (id) => document.getElementById(id);

/** As "about 40 s", "about 12 min", "about 2 h 5 min". */
export function left(seconds) {
  if (seconds === null || seconds === undefined) return "the first frames take longest";
  const minutes = Math.round(seconds / 60);
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s left`;
  return minutes < 60 ? `about ${minutes} min left` : `about ${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}

function words({ state, done, total, ahead, seconds_left: seconds }) {
  if (state === "waiting") return ahead ? `Waiting: ${ahead} film${ahead > 1 ? "s" : ""} before this one` : "It is about to begin…";
  return done < total ? `${done} of ${total} frames, ${left(seconds)}` : "All frames are coloured. Putting the film together…";
}

/** What a file of a copy is, by its name. */
function kindOf(name, first) {
  if (name === first) return `Download ${name}`;
  const kinds = [["shots.csv", "a report of its shots"], ["json.jws", "the signature of its record"], ["c2pa", "its own credentials"], ["json", "a record of how it was made"]];
  return kinds.find(([end]) => name.endsWith(`.${end}`))?.[1] ?? name;
}

/** `page`: see `makeFilms`. */
export function makeMaking(page) {
  const [button, format, start, cancel, bar, told, files] = ["making-button", "film-format", "make-film", "cancel-film", "film-bar-done", "making-told", "film-files"].map(element);
  let shown = null;

  function draw(film) {
    shown = film;
    const { copy } = film;
    const works = isWorking(copy);
    const share = works && copy.total ? copy.done / copy.total : 0;
    button.textContent = works ? `Colouring… ${Math.floor(100 * share)} %` : copy?.state === "ready" ? "Download" : "Colour the film";
    start.hidden = works;
    start.textContent = copy?.state === "cancelled" ? "Go on colouring" : copy?.state === "ready" ? "Colour it again" : "Colour the whole film";
    start.className = copy?.state === "ready" ? "" : "main";
    format.disabled = works;
    for (const one of [cancel, bar]) one.hidden = !works;
    bar.value = share;
    if (works) told.textContent = words(copy);
    else if (copy?.state === "cancelled") told.textContent = "Cancelled. The shots that are done are kept.";
    else told.textContent = copy?.state === "failed" ? `It could not be coloured: ${copy.reason}.` : "";
    drawFiles(film);
  }

  function drawFiles({ id, copy }) {
    const names = copy?.state === "ready" ? copy.files : [];
    if (files.dataset.of === JSON.stringify([id, names])) return; // somebody may be about to click on one
    files.dataset.of = JSON.stringify([id, names]);
    const links = names.map((name) => {
      const link = Object.assign(document.createElement("a"), { href: server.filmPath(id, name), textContent: kindOf(name, names[0]), download: name });
      if (name === names[0]) link.className = "main";
      return link;
    });
    const notes = (names.length ? copy.told : []).map((textContent) => Object.assign(document.createElement("p"), { className: "quiet", textContent }));
    files.replaceChildren(...links, ...notes);
  }

  /** Look after a film that is being coloured, whichever is looked at. */
  async function follow(film) {
    if (film.followed) return;
    film.followed = true;
    try {
      while (isWorking(film.copy)) {
        await new Promise((done) => setTimeout(done, LOOK));
        film.copy = (await server.film(film.id)).copy;
        if (shown === film) draw(film);
      }
      if (film.copy.state === "ready") page.say(`${film.name} is coloured.`);
      else if (film.copy.state === "failed") page.complain(`${film.name}: ${film.copy.reason}`);
    } catch (error) {
      if (error.status !== 404) page.blame(film, error);
    } finally {
      film.followed = false;
    }
  }

  start.addEventListener("click", async () => {
    const film = shown;
    try {
      await film.saved;
      film.copy = (await server.colourFilm(film.id, format.value, film.strength)).copy;
      draw(film);
      cancel.focus();
      follow(film);
    } catch (error) {
      page.blame(film, error);
    }
  });
  cancel.addEventListener("click", async () => {
    const film = shown;
    try {
      await server.cancelFilm(film.id);
      film.copy = (await server.film(film.id)).copy;
      draw(film);
      start.focus();
    } catch (error) {
      page.blame(film, error);
    }
  });

  return {
    draw,
    follow,
    /** Offer these formats of the server. */
    offer(formats) {
      format.replaceChildren(...formats.map(({ name, suffix }) => new Option(`${NAMES[name] ?? name} (${suffix})`, name)));
    },
  };
}
