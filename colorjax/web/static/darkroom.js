// Photographs that nobody looks at yet take colour too, one after another.

/** A function that begins, or goes on; `develop(photograph)` colours one. What could not be coloured is left alone. */
export function makeDarkroom(photographs, develop) {
  let busy = false;
  const waits = ({ urls, stale, busy, failed }) => urls.before && (!urls.after || stale) && !busy && !failed;
  return async () => {
    if (busy) return;
    busy = true;
    for (let next; (next = photographs.find(waits)); ) await develop(next);
    busy = false;
  };
}
