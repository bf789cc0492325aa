// Films: what the page knows of them and of their hints. Each frame that is looked at is worked on as a photograph is.

import * as album from "./album.js";
import * as copies from "./copies.js";
import * as removal from "./removal.js";
import * as server from "./server.js";
import { makeMaking } from "./making.js";
import { makePlayer } from "./player.js";
import { drawNotes, drawShots } from "./shots.js";
import { isWorking, middleOf, shotOf } from "./reel.js";

const PAUSE = 700; // milliseconds between two looks at what is being done

const pause = () => new Promise((done) => setTimeout(done, PAUSE));
export const suffix = (name) => (/\.[^.]+$/.exec(name.toLowerCase()) ?? [""])[0];

/** The hints of a file for a film. Throws an Error that says what is wrong with it. */
export function readHints(text, film) {
  let rows;
  try {
    rows = JSON.parse(text).hints;
  } catch {
    throw new Error("this is no file of hints");
  }
  const hints = album.readHints(text, film);
  const sound = ({ frame }) => Number.isInteger(frame) && frame >= 0 && frame < film.frames;
  if (!rows.every(sound)) throw new Error(`one of its hints does not say its frame, a number from 0 to ${film.frames - 1}`);
  return hints.map((hint, i) => ({ frame: rows[i].frame, ...hint }));
}

/** `page` has: current(), open(still), closed() for when the film that is looked at has gone, draw() of the strip, arriving(words), say,
 *  complain, blame(film, error), stage. */
export function makeFilms(page) {
  const films = [];
  let offered = { lacking: "", suffixes: [], formats: [] };
  const heard = { ...page, still };
  const player = makePlayer(heard);
  const making = makeMaking(heard);

  /** A film that the server has, as the page knows it. given: its hints; stills: its frames that were looked at; tries: shots. */
  function take(about, given) {
    const film = { ...about, given, strength: about.copy?.strength ?? 1, stills: new Map(), tries: new Map(), saved: Promise.resolve(), urls: {} };
    film.urls.before = server.shotPath(film.id, 0);
    films.push(film);
    return film;
  }

  /** One of its frames, as a photograph. */
  function still(film, frame = film.at ?? middleOf(film.shots[0])) {
    if (!film.stills.has(frame)) {
      const { name, width, height, bits, aspect } = film;
      const about = { id: `films/${film.id}/frames/${frame}`, name, width, height, bits, aspect, pages: 1 };
      film.stills.set(frame, { ...album.makePhotograph(about), film, frame });
    }
    const one = film.stills.get(frame);
    const hints = film.given.filter((hint) => hint.frame === frame).map(({ frame: _, ...hint }) => hint);
    if (JSON.stringify([one.state.hints, one.state.strength]) !== JSON.stringify([hints, film.strength])) {
      one.state = one.settled = { ...one.settled, hints, strength: film.strength };
      one.stale = true;
    }
    const tried = film.tries.get(shotOf(film, frame));
    const at = tried ? frame - tried.first : -1;
    if (tried?.after[at]) Object.assign(one, { stale: false, urls: { before: tried.before[at], after: tried.after[at] }, before: Promise.resolve() });
    return one;
  }

  /** Wait until the shots of a film are found. Whether they were. */
  async function looked(film) {
    while (isWorking(film.looked)) {
      const { done } = film.looked;
      page.arriving(`Looking for the shots of ${film.name}: ${film.promised ? `${done} of ${film.promised}` : done} frames`);
      await pause();
      Object.assign(film, await server.filmInTime(film.id, page.arriving));
    }
    if (film.looked.state === "ready") return true;
    await server.removeFilm(film.id).catch(() => {});
    throw new Error(film.looked.reason || "its shots could not be found");
  }

  /** Take a film that somebody has chosen. */
  async function add(file) {
    if (offered.lacking) throw new Error(offered.lacking);
    if (file.size > offered.upload) throw new Error(`larger than ${Math.round(offered.upload / 1e6)} MB, the most that is taken here`);
    const told = (share) => page.arriving(share < 1 ? `Sending ${file.name}: ${Math.round(100 * share)} %` : `Opening ${file.name}…`);
    told(0);
    await settle(await server.upload(file, told, "films"), true);
  }

  /** Take a film as soon as its shots are found; `isNew`: and show it, whatever is looked at. */
  async function settle(about, isNew = false) {
    const film = { ...about };
    await looked(film);
    const given = await server.filmHints(film.id);
    const taken = take(film, given);
    if (isWorking(taken.copy)) making.follow(taken);
    return isNew || !page.current() ? page.open(still(taken)) : page.draw();
  }

  /** What was changed of a frame is the film's. */
  function edited(one) {
    const { film, frame, state } = one;
    const given = [...film.given.filter((hint) => hint.frame !== frame), ...state.hints.map((hint) => ({ frame, ...hint }))];
    given.sort((hint, other) => hint.frame - other.frame);
    const dull = state.strength !== film.strength;
    if (!dull && JSON.stringify(given) === JSON.stringify(film.given)) return;
    film.strength = state.strength;
    save(film, given, dull ? null : shotOf(film, frame));
  }

  /** The shots that have the colours of one: those beside it, too, where they dissolve into each other. */
  function within({ openings }, shot) {
    return [shot, ...(openings[shot] ? [shot - 1] : []), ...(openings[shot + 1] ? [shot + 1] : [])];
  }

  /** Keep these hints; shot: the one that they changed, null for all. */
  function save(film, given, shot) {
    const isNew = JSON.stringify(given) !== JSON.stringify(film.given);
    film.given = given;
    if (film.copy) film.copy.current &&= !isNew;
    for (const number of shot === null ? [...film.tries.keys()] : within(film, shot)) player.forget(film, number, page.current());
    for (const one of film.stills.values()) if (one !== page.current() && shot === null) one.stale = true;
    if (isNew) {
      film.saved = film.saved.then(() => server.keepFilmHints(film.id, film.given)).catch((error) => page.blame(film, error));
    }
    draw(page.current());
  }

  /** All that is around a frame, or nothing where a photograph is looked at. */
  function draw(one) {
    const film = one?.film ?? null;
    for (const id of ["film-bar", "shots", "film-section", "making-button"]) document.getElementById(id).hidden = !film;
    document.body.classList.toggle("film-page", Boolean(film));
    player.draw(one?.film ? one : null);
    if (!film) return;
    film.at = one.frame;
    drawShots(film, one.frame, (frame) => page.open(still(film, frame)));
    drawNotes(film, (frame) => page.open(still(film, frame)));
    making.draw(film);
  }

  /** Go so many shots on, or back. */
  function go(one, step) {
    const { film, frame } = one;
    const next = (shotOf(film, frame) + step + film.shots.length) % film.shots.length;
    return page.open(still(film, middleOf(film.shots[next])));
  }

  function remove(film) {
    player.stop();
    const at = films.indexOf(film);
    films.splice(at, 1);
    film.removed = true;
    page.closed();
    const place = { id: `films/${film.id}`, urls: {} };
    removal.remove(place, ({ message }) => page.complain(`${film.name} may not have been deleted: ${message}`));
    removal.sayRemoved(place, page.say, () => {
      film.removed = false;
      films.splice(at, 0, film);
      page.open(still(film));
    });
  }

  return {
    all: films,
    still,
    add,
    edited,
    draw,
    go,
    remove,
    toggle: player.toggle,
    step: player.step,
    /** What the server says of films. */
    offer(what) {
      offered = what;
      making.offer(what);
    },
    /** Whether a file is one, by its name. */
    isOne: ({ name, type }) => offered.suffixes.includes(suffix(name)) || (type ?? "").startsWith("video/"),
    /** Words for the first page. */
    promise: () => (offered.lacking ? "" : ` Films up to ${Math.round(offered.upload / 1e6)} MB and ${offered.frames.toLocaleString("en")} frames.`),
    /** Films that the server has already. */
    async recall() {
      for (const about of await server.films()) {
        await settle(about).catch((error) => page.blame(about, error));
        page.arriving("");
      }
    },
    loadHints(film, text) {
      save(film, readHints(text, film), null);
      return page.open(still(film));
    },
    saveHints(film) {
      const url = URL.createObjectURL(new Blob([album.writeHints(film.given)], { type: "application/json" }));
      copies.save(url, `${film.name}.hints.json`);
      setTimeout(() => URL.revokeObjectURL(url), 2000);
    },
    facts: ({ name, width, height, bits, codec, frames, shots }) =>
      [name, `${width} × ${height} pixels`, `${bits} bits`, codec, `${frames} frames`, shots.length === 1 ? "1 shot" : `${shots.length} shots`].join(" · "),
  };
}
