// What this browser remembers of each photograph, by its id: hints and strength, over a reload and in another tab.

const PREFIX = "colorjax ";

/** What `action(localStorage)` gives; undefined where the browser keeps nothing, or has no room. */
function storage(action) {
  try {
    return action(localStorage);
  } catch {
    return undefined;
  }
}

export const recall = (id) => storage((all) => JSON.parse(all.getItem(PREFIX + id))) ?? null;
export const keep = (id, state) => storage((all) => all.setItem(PREFIX + id, JSON.stringify(state)));
export const drop = (id) => storage((all) => all.removeItem(PREFIX + id));

/** `heard(id, state)` hears what another tab makes of a photograph. */
export function elsewhere(heard) {
  addEventListener("storage", ({ key, newValue }) => key?.startsWith(PREFIX) && newValue && heard(key.slice(PREFIX.length), JSON.parse(newValue)));
}

/** Forget all photographs but these. */
export function prune(ids) {
  const known = new Set(ids.map((id) => PREFIX + id));
  const gone = storage((all) => Object.keys(all).filter((key) => key.startsWith(PREFIX) && !known.has(key)));
  for (const key of gone ?? []) drop(key.slice(PREFIX.length));
}
