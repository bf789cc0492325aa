// Hints of films on their way to the server, and to other tabs of this browser: what one tab gives is seen in all, and none undoes another's.

import * as server from "./server.js";

const channel = new BroadcastChannel("colorjax hints");
const placeOf = ({ frame, x, y }) => [frame, x, y].join();
const plain = (hint) => hint && JSON.stringify([hint.color, hint.radius ?? null, hint.reach ?? null]);
const byPlace = (hints) => new Map(hints.map((hint) => [placeOf(hint), hint]));
const inOrder = (hints) => JSON.stringify(hints.map((hint) => [placeOf(hint), plain(hint)]));

/** Whether these hints are the same. */
export const alike = (hints, others) => inOrder(hints) === inOrder(others);

/** What two tabs have made of the hints of before: {given, clashes}. What both have changed, each in its own way, is as it is here, and
 *  counted; what is removed in one alone, and changed in the other, stays. */
export function joined(before, here, there) {
  const [old, mine, theirs] = [before, here, there].map(byPlace);
  const given = new Map(theirs);
  let clashes = 0;
  for (const place of new Set([...old.keys(), ...mine.keys()])) {
    const [was, is, other] = [old, mine, theirs].map((hints) => plain(hints.get(place)));
    if (is === was || is === other) continue; // nothing was done about it here, or the same
    if (is && other !== was) clashes++;
    if (is) given.set(place, mine.get(place));
    else if (other === was) given.delete(place);
  }
  return { given: [...given.values()].sort((hint, other) => hint.frame - other.frame), clashes };
}

/** `films` have: given, the hints that are seen; kept, those that the server is known to have, and their version; saved, which is done when
 *  nothing is on its way. `show(film, hints, clashes)`: they come from another tab. `failed(film, error)` hears what went wrong. */
export function makeKeeping(films, show, failed) {
  /** Take what the server has by now, and leave what is not saved yet. */
  async function join(film) {
    const { hints, version } = await server.filmHints(film.id);
    const { given, clashes } = joined(film.kept, film.given, hints);
    Object.assign(film, { kept: hints, version });
    if (!alike(given, film.given)) show(film, given, clashes);
  }

  async function send(film) {
    while (!alike(film.given, film.kept)) {
      const { given } = film;
      try {
        film.version = await server.keepFilmHints(film.id, given, film.version);
        film.kept = given;
        channel.postMessage(film.id);
      } catch (error) {
        if (error.status !== 412) throw error;
        await join(film);
      }
    }
  }

  /** Do it after what is on its way. */
  const later = (film, action) => (film.saved = film.saved.then(() => action(film)).catch((error) => failed(film, error)));
  channel.onmessage = ({ data }) => films.filter(({ id }) => id === data).forEach((film) => later(film, join));

  return {
    /** Save the hints of a film. */
    keep: (film) => later(film, send),
    /** Wait until they are saved; what could not be saved is sent again. */
    kept(film) {
      const sent = film.saved.then(() => send(film));
      film.saved = sent.catch(() => {}); // who waits hears of it
      return sent;
    },
  };
}
