// Copies at full size: asked for, waited for, saved.

import * as server from "./server.js";
import { expected, remaining, took } from "./working.js";
import { withServer } from "./album.js";

const PAUSE = 400; // milliseconds between two looks

const failed = (reason) => ({ state: "failed", reason });

/** Have the copies of these photographs made; `wish`: their format and quality; `told(words)` hears how far it is. Gives what became
 *  of each. */
export async function make(photographs, wish, told) {
  const since = performance.now();
  const elapsed = () => (performance.now() - since) / 1000;
  const size = photographs.reduce((sum, { width, height, pages }) => sum + (width * height * pages) / 1e6, 0); // megapixels
  const refused = new Map();
  for (const photograph of photographs) {
    try {
      await withServer(photograph, (id) => server.copy(id, photograph.state, wish));
    } catch (error) {
      refused.set(photograph, failed(error.message));
    }
  }
  for (;;) {
    const all = await server.progress();
    const mine = photographs.map((one) => refused.get(one) ?? all[one.id] ?? failed("it has been removed"));
    const waiting = mine.filter(({ state }) => state === "waiting");
    if (!waiting.length) {
      if (elapsed() > PAUSE / 1000) took("copy", elapsed(), size);
      return mine;
    }
    told(words(waiting, photographs.length, remaining(elapsed(), expected("copy", size))));
    await new Promise((done) => setTimeout(done, PAUSE));
  }
}

function words(waiting, count, left) {
  if (count > 1) return `Colouring at full size: ${count - waiting.length} of ${count} done, ${left}`;
  const { ahead } = waiting[0];
  return ahead ? `Waiting: ${ahead} before this one` : `Colouring at full size… ${left}`;
}

/** Let the browser save what is at an address of this server. */
export function save(path, name = "") {
  const link = Object.assign(document.createElement("a"), { href: path, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}
