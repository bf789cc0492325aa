// Pictures of photographs, as they are and in colour: fetched from the server when they are wanted, and shown where they belong.

import * as album from "./album.js";
import * as server from "./server.js";
import { makeWorking, took } from "./working.js";

const pause = (milliseconds, value) => new Promise((done) => setTimeout(done, milliseconds, value));

/** `current()`: the photograph that is looked at. `done(photograph)` hears of each that has its colours; `blame(photograph, error)`
 *  of those that could not have them. */
export function makeViews(stage, current, done, blame) {
  const working = makeWorking();

  /** Show the colours that the latest hints make; while one view is under way, the next one waits, and those between are left out.
   *  `ahead`: nobody looks at it yet. */
  async function refresh(photograph, ahead = false) {
    Object.assign(photograph, { again: true, stale: false, failed: false });
    if (photograph.busy) return photograph.ahead?.abort(); // what was not urgent is asked for anew
    photograph.busy = true;
    if (photograph === current()) showBusy();
    let told = false;
    while (photograph.again && !photograph.removed) {
      photograph.again = false;
      photograph.ahead = ahead && photograph !== current() ? new AbortController() : null;
      const how = { ahead: photograph.ahead !== null, signal: photograph.ahead?.signal };
      const since = performance.now();
      try {
        album.setPicture(photograph, "after", await album.withServer(photograph, (id) => server.view(id, photograph.state, how)));
        took("view", (performance.now() - since) / 1000);
        await stage.show("after", photograph.urls.after, photograph);
        if (photograph.thumb) photograph.thumb.src = photograph.urls.after;
      } catch (error) {
        if (error.status === 409) photograph.again = await pause(how.signal?.aborted ? 0 : 300, true); // it is still wanted
        else if (server.isAway(error)) {
          if (!told) blame(photograph, error);
          told = photograph.again = await pause(server.PATIENCE, true);
        } else {
          photograph.failed = true;
          blame(photograph, error);
        }
      }
    }
    photograph.busy = false;
    if (photograph === current()) showBusy();
    done(photograph);
  }

  /** That colours are on their way, or no longer: at the hint that is chosen, or in the middle. */
  function showBusy() {
    const { busy, state, chosen } = current();
    stage.busy(busy);
    if (busy) working.begin("view", stage.placeOf(state.hints[chosen]));
    else working.end();
  }

  /** Fetch the photograph as it is: once, whoever waits for it. */
  function fetchBefore(photograph) {
    const fetched = async () => album.setPicture(photograph, "before", await album.withServer(photograph, server.before));
    const again = (error) => (error.status === 409 ? pause(300).then(fetched) : Promise.reject(error));
    photograph.before ??= fetched()
      .catch(again)
      .catch((error) => {
        photograph.before = null;
        throw error;
      });
    return photograph.before;
  }

  return { refresh, showBusy, rest: working.end, fetchBefore };
}
