// The visitor's photographs: their hints and looks with what was before them, remembered by the browser.

import * as memory from "./memory.js";
import * as server from "./server.js";

const START = { hints: [], strength: 1, warmth: 0, saturation: 0, variant: 0 };

/** A photograph that the server has, as the page knows it. `file`: what it was made of, if it was chosen on this page. */
export function makePhotograph(about, file) {
  const state = { ...START, ...memory.recall(about.id) };
  return { ...about, file, state, settled: state, past: [], future: [], chosen: null, split: 50, urls: {} };
}

/** Change something of what is asked for. Not settled: on the way to something, as while a hint is dragged. */
export function change(photograph, what, settled) {
  const state = { ...photograph.state, ...what };
  const same = JSON.stringify(state) === JSON.stringify(photograph.settled);
  photograph.state = same ? photograph.settled : state;
  if (!settled || same) return;
  photograph.past.push(photograph.settled);
  photograph.future = [];
  keep(photograph);
}

/** What is still on its way is there. */
export const settle = (photograph) => change(photograph, {}, true);

export const undo = (photograph) => travel(photograph, "past", "future");
export const redo = (photograph) => travel(photograph, "future", "past");

/** Take back what was done last, for good. */
export function unmake(photograph) {
  undo(photograph);
  photograph.future.pop();
}

function travel(photograph, from, to) {
  settle(photograph);
  if (!photograph[from].length) return false;
  photograph[to].push(photograph.settled);
  photograph.state = photograph[from].pop();
  if (photograph.chosen >= photograph.state.hints.length) photograph.chosen = null;
  keep(photograph);
  return true;
}

function keep(photograph) {
  photograph.settled = photograph.state;
  memory.keep(photograph.id, photograph.state);
}

/** What `action(id)` gives. A photograph that the server has deleted by itself is sent again first: not one that has been
 *  removed, nor one that the server has never known under its id, as where it keeps nothing of this page. */
export async function withServer(photograph, action) {
  const { id } = photograph;
  const known = async () => {
    const found = await action(photograph.id);
    photograph.known = true;
    return found;
  };
  try {
    return await known();
  } catch (error) {
    if (error.status !== 404 || photograph.removed) throw error;
    if (photograph.id === id && !photograph.renewal) {
      if (!photograph.file || !photograph.known) throw error;
      photograph.renewal = renew(photograph).finally(() => (photograph.renewal = null));
    }
    await photograph.renewal;
    if (photograph.removed) throw error;
    return known();
  }
}

async function renew(photograph) {
  const { id } = await server.upload(photograph.file, () => {}).catch(({ message }) => {
    throw new Error(message); // its status would be taken for that of what was asked
  });
  if (photograph.removed) return server.remove(id);
  memory.drop(photograph.id);
  Object.assign(photograph, { id, known: false });
  memory.keep(id, photograph.settled);
}

/** Put a new picture, a blob, in the place of the one of before. */
export function setPicture(photograph, which, picture) {
  const old = photograph.urls[which];
  photograph.urls[which] = URL.createObjectURL(picture);
  if (old) setTimeout(() => URL.revokeObjectURL(old), 2000); // what shows it may need it for a moment
}

export function forget(photograph) {
  memory.drop(photograph.id);
  Object.values(photograph.urls).forEach((url) => URL.revokeObjectURL(url));
}

/** The hints of a file for a photograph. Throws an Error that says what is wrong with it. */
export function readHints(text, { width, height }) {
  let hints;
  try {
    hints = JSON.parse(text).hints.map(({ x, y, color, radius, reach }) => {
      const far = radius > 0 && radius <= 1 ? Math.max(2, Math.round(radius * Math.min(width, height))) : radius; // a share of the shorter side
      return { x, y, color: color.toLowerCase(), ...(radius > 0 && { radius: far }), ...(reach === "soft" && { reach }) };
    });
  } catch {
    throw new Error("this is no file of hints");
  }
  const sound = ({ x, y, color }) => [x, y].every(Number.isInteger) && /^#[0-9a-f]{6}$/.test(color);
  if (!hints.every(sound)) throw new Error("one of its hints is malformed");
  const inside = ({ x, y }) => x >= 0 && y >= 0 && x < width && y < height;
  if (!hints.every(inside)) throw new Error(`one of its hints is outside this photograph of ${width} × ${height} pixels`);
  return hints;
}

export const writeHints = (hints) => `${JSON.stringify({ hints }, null, 1)}\n`;
