// What the page asks of its server. Every refusal arrives as an Error with the server's words and its `status`.

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    if (options.signal?.aborted) throw refusal(409, "it is asked for anew");
    throw Object.assign(refusal(0, "The server does not answer."), { ofAll: true }); // whatever it is asked for
  }
  if (answer.ok) return answer;
  throw refusal(answer.status, await words(answer));
}

async function words(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text).error;
  } catch {
    return text || `the server answered ${answer.status}`;
  }
}

function refusal(status, message) {
  return Object.assign(new Error(message), { status });
}

const post = (path, body, signal) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
const json = async (answer) => (await answer).json();
const blob = async (answer) => (await answer).blob();
const page = crypto.getRandomValues(new Uint32Array(3)).join(""); // of this tab: what another one asks for is its own affair
const one = (id) => (id.includes("/") ? `api/${id}` : `api/photographs/${id}`); // a frame is one, too: films/ID/frames/NUMBER

export const about = () => json(ask("api/about"));
export const list = async () => (await json(ask("api/photographs"))).photographs;
export const before = (id) => blob(ask(`${one(id)}/before`));
/** `ahead`: nobody looks at it yet; `signal` gives it up, which arrives as a refusal with the status 409. */
export const view = (id, state, { ahead, signal } = {}) => blob(post(`${one(id)}/view`, { ...state, page, ...(ahead && { ahead }) }, signal));
/** One of the likely colours: nobody waits for it as for a view. */
export const variant = (id, state, number) => blob(post(`${one(id)}/view`, { ...state, page: `${page}v${number}`, ahead: true }));
export const doubt = (id, state) => blob(post(`${one(id)}/doubt`, state));
export const compare = (id, state, kind) => blob(post(`${one(id)}/compare`, { ...state, kind }));
export const suggest = async (id, question) => (await json(post(`${one(id)}/suggest`, { ...question, page }))).suggestions;
export const copy = (id, state, wish) => json(post(`${one(id)}/copy`, { ...state, ...wish }));
export const progress = async () => (await json(ask("api/progress"))).copies;
export const remove = (id) => ask(one(id), { method: "DELETE", keepalive: true });
export const copyPath = (id) => `${one(id)}/copy`;
export const sidecarPath = (id) => `${one(id)}/sidecar`;
export const besidePath = (id, name) => `${one(id)}/beside/${encodeURIComponent(name)}`;
export const films = async () => (await json(ask("api/films"))).films;
export const film = (id) => json(ask(`api/films/${id}`));

export const PATIENCE = 3000; // milliseconds until somebody is asked again who did not answer, or had too much to do
/** Whether nothing is wrong with what was asked: the server, or the way to it, is away, or wants to be left alone for a while. */
export const isAway = ({ status }) => [0, 429, 502].includes(status);
const isPassing = ({ status }) => [0, 429, 502, 503, 504].includes(status);
/** The same, of one that is worked on for hours: a network that is away, as of a computer asleep, is waited for, and `away(words)` told. */
export async function filmInTime(id, away) {
  for (;;) {
    try {
      return await film(id);
    } catch (error) {
      if (!isPassing(error)) throw error;
      away(error.message);
      await new Promise((done) => setTimeout(done, PATIENCE));
    }
  }
}

export const removeFilm = (id) => ask(`api/films/${id}`, { method: "DELETE" });
export const shotPath = (id, number) => `api/films/${id}/shots/${number}`;
const SMALL = 60_000; // bytes that may still be on their way when the page is closed
/** {hints, version} */
export const filmHints = (id) => json(ask(`api/films/${id}/hints`));
/** The version of these. `version`: of those that they were made from; where others are kept by now, it is refused with the status 412. */
export async function keepFilmHints(id, hints, version) {
  const body = JSON.stringify({ hints, version });
  const how = { method: "PUT", headers: { "Content-Type": "application/json" }, body, keepalive: body.length < SMALL };
  return (await json(ask(`api/films/${id}/hints`, how))).version;
}
export const tryShot = (id, frame, strength) => json(post(`api/films/${id}/try`, { frame, strength }));
export const stopTrying = (id) => ask(`api/films/${id}/try`, { method: "DELETE" });
export const tried = async (id) => (await ask(`api/films/${id}/tried`)).arrayBuffer();
export const colourFilm = (id, format, strength) => json(post(`api/films/${id}/copy`, { format, strength }));
export const cancelFilm = (id) => ask(`api/films/${id}/copy`, { method: "DELETE" });
export const filmPath = (id, name) => `api/films/${id}/copy/${encodeURIComponent(name)}`;
export const copiesPath = "api/copies.zip";

/** The photograph, or one of the "films", that a file becomes; `told` hears the share that has been sent. */
export function upload(file, told, kind = "photographs") {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far it is
    request.open("POST", `api/${kind}?name=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = (event) => event.lengthComputable && told(event.loaded / event.total);
    request.onerror = () => reject(refusal(0, "the server does not answer, or does not take it"));
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = { error: request.responseText };
      }
      if (request.status === 201) resolve(answer);
      else reject(refusal(request.status, answer.error || `the server answered ${request.status}`));
    };
    request.send(file);
  });
}
