// Films: what the page knows of them and of their hints. Each frame that is looked at is worked on as a photograph is.

import * as album from "./album.js";
import * as copies from "./copies.js";
import * as memory from "./memory.js";
import * as removal from "./removal.js";
import * as server from "./server.js";
import { alike, makeKeeping } from "./keeping.js";
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
  let offered = { lacking: "", suffixes: [], films: Infinity };
  const keeping = makeKeeping(films, takeOver, page.blame);
  const heard = { ...page, still, kept: keeping.kept };
  const player = makePlayer(heard);
  const making = makeMaking(heard);

  /** A film that the server has, as the page knows it, with its hints, see `keeping.js`. stills: its frames that were looked at; tries: shots. */
  function take(about, { hints, version }) {
    const own = { given: hints, kept: hints, version, saved: Promise.resolve(), stills: new Map(), tries: new Map(), urls: {} };
    const film = { ...about, ...own, strength: memory.recall(about.id)?.strength ?? about.copy?.strength ?? 1 };
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
      for (const way of ["past", "future"]) one[way] = one[way].map((state) => ({ ...state, strength: film.strength })); // which is the film's
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
    if (films.length >= offered.films) throw new Error(`you have ${films.length} films here, as many as may be; remove one first`);
    if (file.size > offered.upload) throw new Error(`larger than ${Math.round(offered.upload / 1e6)} MB, the most that is taken here`);
    const told = (share) => page.arriving(share < 1 ? `Sending ${file.name}: ${Math.round(100 * share)} %` : `Opening ${file.name}…`);
    told(0);
    await settle(await server.upload(file, told, "films"), true);
  }

  /** Take a film as soon as its shots are found; `isNew`: and show it, whatever is looked at. */
  async function settle(about, isNew = false) {
    const film = { ...about };
    await looked(film);
    const taken = take(film, await server.filmHints(film.id));
    if (isWorking(taken.copy)) making.follow(taken);
    return isNew || !page.current() ? page.open(still(taken)) : page.draw();
  }

  /** What was changed of a frame is the film's. */
  function edited(one) {
    const { film, frame, state } = one;
    const given = [...film.given.filter((hint) => hint.frame !== frame), ...state.hints.map((hint) => ({ frame, ...hint }))];
    given.sort((hint, other) => hint.frame - other.frame);
    const dull = state.strength !== film.strength;
    if (!dull && alike(given, film.given)) return;
    film.strength = state.strength;
    if (dull) memory.keep(film.id, { strength: film.strength });
    save(film, given, dull ? null : within(film, shotOf(film, frame)));
  }

  /** The shots that have the colours of one: those beside it, too, where they dissolve into each other. */
  function within({ openings }, shot) {
    return [shot, ...(openings[shot] ? [shot - 1] : []), ...(openings[shot + 1] ? [shot + 1] : [])];
  }

  /** Keep these hints; shots: the ones that they changed, null for all. */
  function save(film, given, shots) {
    const isNew = !alike(given, film.given);
    film.given = given;
    if (film.copy) film.copy.current &&= !isNew;
    for (const number of shots ?? [...film.tries.keys()]) player.forget(film, number, page.current());
    for (const one of film.stills.values()) if (one !== page.current() && !shots) one.stale = true;
    if (isNew) keeping.keep(film);
    draw(page.current());
  }

  /** Show hints that were given in another tab, too. */
  function takeOver(film, given, clashes) {
    const isNew = ([first, end]) => !alike(...[film.given, given].map((hints) => hints.filter(({ frame }) => first <= frame && frame < end)));
    const shots = film.shots.flatMap((shot, number) => (isNew(shot) ? within(film, number) : []));
    const one = page.current();
    const isSeen = one?.film === film && isNew([one.frame, one.frame + 1]);
    save(film, given, shots);
    if (isSeen) {
      one.chosen = null;
      page.open(still(film, one.frame));
    }
    page.say(`Hints of ${film.name} that another tab gave are here now, too.`);
    const what = clashes === 1 ? "one of its hints" : `${clashes} of its hints`;
    if (clashes) page.complain(`${film.name}: another tab changed ${what}, as this one did. What was chosen here counts.`);
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

  /** Take a film from the page. Where it was. */
  function takeOut(film) {
    const isSeen = page.current()?.film === film;
    if (isSeen) player.stop();
    const at = films.indexOf(film);
    films.splice(at, 1);
    film.removed = true;
    if (isSeen) page.closed();
    else page.draw();
    return at;
  }

  function remove(film) {
    const at = takeOut(film);
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
    /** One that was removed in another tab. */
    gone: (id) => films.filter((film) => `films/${film.id}` === id).forEach(takeOut),
    /** What the server says of films. */
    offer(what) {
      offered = what;
      making.offer(what);
    },
    /** Whether a file is one, by its name. */
    isOne: ({ name, type }) => offered.suffixes.includes(suffix(name)) || (type ?? "").startsWith("video/"),
    /** Words for the first page. */
    promise: () => (offered.lacking ? "" : ` Films up to ${Math.round(offered.upload / 1e6)} MB and ${offered.frames.toLocaleString("en")} frames.`),
    /** These, which the server has already. */
    async recall(there) {
      for (const about of there) {
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
