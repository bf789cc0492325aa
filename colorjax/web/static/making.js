// The whole film: in which format, how far it is, given up, and what is there to be saved.

import * as server from "./server.js";
import { isWorking, sentence } from "./reel.js";

const LOOK = 1000; // milliseconds between two looks
const NAMES = {
  ffv1: "For keeping: FFV1",
  prores: "For editing: ProRes",
  h264: "For looking at: H.264",
  hevc: "For looking at: HEVC",
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

const KINDS = [
  [".shots.csv", "A report, shot by shot"],
  [".shots.txt", "The list of its shots"],
  [".json.jws", "The signature of its record"],
  [".c2pa", "Its own credentials"],
  [".json", "A record of how it was made"],
];

/** What a file that belongs to a copy is, by its name. */
const kindOf = (name) => KINDS.find(([end]) => name.endsWith(end))?.[1] ?? name;

/** Whether a copy is of the strength and the format that are asked for now: then what is done of it is gone on with. */
const isAlike = ({ copy, strength }, format) => copy?.strength === strength && copy.format === format;
/** Whether it is there, and of the hints, too. */
const isFresh = (film, format) => film.copy?.state === "ready" && film.copy.current && isAlike(film, format);

/** `page`: see `makeFilms`. */
export function makeMaking(page) {
  const [button, format, start, cancel, bar, told, files] = ["making-button", "film-format", "make-film", "cancel-film", "film-bar-done", "making-told", "film-files"].map(element);
  let shown = null, minutes = 60;

  /** Offer what can be made of a film: of another one perhaps fewer formats. */
  function offerFormats({ formats, copy }) {
    const wanted = copy?.format ?? format.value;
    format.replaceChildren(...formats.map(({ name, suffix }) => new Option(`${NAMES[name] ?? name} (${suffix})`, name)));
    if (formats.some(({ name }) => name === wanted)) format.value = wanted;
  }

  function draw(film) {
    const { copy } = film;
    if (shown !== film) offerFormats(film);
    shown = film;
    const works = isWorking(copy);
    const share = works && copy.total ? copy.done / copy.total : 0;
    button.textContent = works ? `Colouring… ${Math.floor(100 * share)} %` : copy?.state === "ready" ? "Download" : "Colour the film";
    start.hidden = works || isFresh(film, format.value);
    const goesOn = copy?.state === "cancelled" && isAlike(film, format.value);
    start.textContent = goesOn ? "Go on colouring" : copy?.state === "ready" ? "Colour it anew" : "Colour the whole film";
    start.className = copy?.state === "ready" ? "" : "main";
    format.disabled = works;
    for (const one of [cancel, bar]) one.hidden = !works;
    bar.value = share;
    if (works) told.textContent = words(copy);
    else if (copy?.state === "cancelled") told.textContent = "Cancelled. The shots that are done are kept.";
    else told.textContent = copy?.state === "failed" ? `It could not be coloured: ${copy.reason}.` : "";
    drawFiles(film);
  }

  /** The files of the copy that is there, or of the one of before, which stays until then. */
  function drawFiles({ id, copy }) {
    const isReady = copy?.state === "ready";
    const { files: names, format: made } = (isReady ? copy : copy?.kept) ?? { files: [] };
    if (files.dataset.of === JSON.stringify([id, names, isReady])) return; // somebody may be about to click on one
    files.dataset.of = JSON.stringify([id, names, isReady]);
    const links = names.map((name) => {
      const link = Object.assign(document.createElement("a"), { href: server.filmPath(id, name), textContent: kindOf(name), download: name });
      const label = isReady ? "Download" : `Download the copy of before (${made})`;
      if (name === names[0]) Object.assign(link, { className: isReady ? "main" : "", textContent: label, title: name });
      return link;
    });
    const stays = `It is deleted here after ${minutes} minutes in which nothing is done. Save it before.`;
    const notes = (isReady ? [stays, ...copy.told] : []).map((words) => Object.assign(document.createElement("p"), { className: "quiet", textContent: sentence(words) }));
    files.replaceChildren(...links, ...notes);
  }

  /** Look after a film that is being coloured, whichever is looked at. */
  async function follow(film) {
    if (film.followed) return;
    film.followed = true;
    try {
      while (isWorking(film.copy)) {
        await new Promise((done) => setTimeout(done, LOOK));
        film.copy = (await server.filmInTime(film.id, (words) => shown === film && (told.textContent = words))).copy;
        if (shown === film) draw(film);
      }
      if (film.removed) return;
      if (film.copy.state === "ready") page.say(`${film.name} is coloured.`);
      else if (film.copy.state === "failed") page.complain(`${film.name}: ${film.copy.reason}`);
    } catch (error) {
      if (error.status !== 404) page.blame(film, error);
    } finally {
      film.followed = false;
    }
  }

  format.addEventListener("change", () => shown && draw(shown));
  start.addEventListener("click", async () => {
    const film = shown;
    try {
      await page.kept(film);
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
    /** What the server says of films: for how many quiet minutes it keeps them. */
    offer({ minutes: quiet }) {
      minutes = quiet;
    },
  };
}
