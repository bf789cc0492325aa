// The page: photographs come in, one of them is worked on, copies go out.

import * as album from "./album.js";
import * as copies from "./copies.js";
import * as memory from "./memory.js";
import * as removal from "./removal.js";
import * as server from "./server.js";
import { filesOf } from "./brought.js";
import { toCode } from "./color.js";
import { makeDarkroom } from "./darkroom.js";
import { makeDoubts } from "./doubts.js";
import { makeDownloads } from "./downloads.js";
import { makeFilms, suffix } from "./films.js";
import { listenForKeys } from "./keys.js";
import { makeNotices } from "./notices.js";
import { makeOverview } from "./overview.js";
import { makePalette } from "./palette.js";
import { makePeek } from "./peek.js";
import { LOOK, makeSliders } from "./sliders.js";
import { makeStage } from "./stage.js";
import { drawTiles } from "./strip.js";
import { makeVariants } from "./variants.js";
import { makeViews } from "./views.js";

const element = (id) => document.getElementById(id);
const pause = (milliseconds, value) => new Promise((done) => setTimeout(done, milliseconds, value));
const photographs = [];
let about = { guided: false, upload: Infinity, photographs: Infinity };
let current = null;

const { say, complain } = makeNotices(() => focusWork());
const develop = makeDarkroom(photographs, (photograph) => refresh(photograph, true));
const drawDoubts = makeDoubts(() => current, blame);
const { download, downloadAll, share, sayWhatWasSaved, offer } = makeDownloads(photographs, () => current, { say, complain, blame });

const stage = makeStage({
  placed: (point) => {
    const hints = current.state.hints.filter(({ x, y }) => x !== point.x || y !== point.y);
    current.chosen = hints.length;
    edit({ hints: [...hints, { ...point, color: toCode(stage.colorAt("after", point)) }] });
    stage.focusHint(current.chosen);
    suggest();
  },
  unplaced: () => {
    album.unmake(current);
    current.chosen = null;
    draw();
    refresh(current);
    focusWork();
  },
  moved: (index, point, settled) => {
    current.chosen = index;
    edit({ hints: current.state.hints.map((hint, i) => (i === index ? { ...hint, ...point } : hint)) }, settled);
    if (settled) suggest();
  },
  selected: (index) => {
    if (index === current.chosen && index !== null) return;
    current.chosen = index;
    draw();
    suggest();
  },
  removed: removeHint,
  colours: () => palette.focus(),
  looked: (zoom) => (element("zoom-value").value = `${Math.round(100 * zoom)} %`),
});

/** A photograph has the colours that were asked for, or cannot have them. */
function seen(photograph) {
  overview.draw(current);
  if (photograph === current) drawDoubts();
  develop();
}
const { refresh, showBusy, rest, fetchBefore } = makeViews(stage, () => current, seen, blame);

const palette = makePalette({
  colored: (color, settled) => {
    if (!current || current.chosen === null) return;
    edit({ hints: current.state.hints.map((hint, i) => (i === current.chosen ? { ...hint, color } : hint)) }, settled, true);
  },
  removed: () => removeHint(current.chosen),
});

const sliders = makeSliders(
  (what, settled) => edit(what, settled),
  (how, settled) => {
    if (current.chosen === null) return;
    const bound = (hint) => Object.fromEntries(Object.entries({ ...hint, ...how }).filter(([, value]) => value !== null));
    edit({ hints: current.state.hints.map((hint, i) => (i === current.chosen ? bound(hint) : hint)) }, settled, true);
  },
);

const variants = makeVariants(() => current, (variant) => edit({ variant }), blame);

const overview = makeOverview(photographs, (photograph) => {
  toggleOverview(false);
  open(photograph);
  focusWork();
});

const films = makeFilms({ stage, current: () => current, open, closed: () => show(photographs[0]), draw: drawStrip, arriving, say, complain, blame });

function removeHint(index) {
  current.chosen = null;
  edit({ hints: current.state.hints.filter((_, i) => i !== index) });
  focusWork();
}

/** Where the keys go on when what had the focus is gone. */
const focusWork = () => (current ? stage : element("choose")).focus();

/** Change what is asked for of the current photograph, and show it. */
function edit(what, settled = true, drawPins = settled) {
  album.change(current, what, settled);
  if (settled && current.film) films.edited(current);
  draw(drawPins);
  sayWhatWasSaved();
  refresh(current);
}

function travel(move) {
  if (!current) return;
  if (!move(current)) return;
  if (current.film) films.edited(current);
  draw();
  sayWhatWasSaved();
  refresh(current);
  suggest();
}

/** A button that is off keeps the focus: it is not `disabled`. */
const enable = (id, is) => element(id).setAttribute("aria-disabled", !is);

/** Everything around the picture, as the current photograph has it. */
function draw(drawPins = true) {
  const { hints } = current.state;
  const hint = hints[current.chosen];
  if (drawPins) stage.setHints(hints, current.chosen);
  element("no-hint").hidden = !isGuided(current) || Boolean(hint);
  element("one-hint").hidden = !hint;
  if (hint) palette.show(hint, hints.length > 1 ? `Hint ${current.chosen + 1} of ${hints.length}` : "Hint", stage.colorAt("before", hint));
  stage.ring(hint);
  sliders.show(current.state, hint, current);
  variants.draw();
  enable("undo-button", current.past.length > 0);
  enable("redo-button", current.future.length > 0);
  enable("save-hints", (current.film?.given ?? hints).length > 0);
}

async function suggest() {
  palette.suggest(null);
  const photograph = current;
  const { chosen } = photograph;
  const hint = photograph.state.hints[chosen];
  if (!hint) return;
  const question = { x: hint.x, y: hint.y, hints: photograph.state.hints.filter((_, i) => i !== chosen) };
  try {
    const found = await album.withServer(photograph, (id) => server.suggest(id, question));
    if (photograph === current && photograph.state.hints[photograph.chosen]?.x === hint.x) palette.suggest(found);
  } catch (error) {
    if (error.status !== 409) blame(photograph, error);
  }
}

async function open(photograph) {
  if (current) {
    album.settle(current);
    current.split = stage.split();
  }
  current = photograph;
  const guided = isGuided(photograph);
  element("welcome").hidden = true;
  for (const id of ["strip", "actions"]) element(id).hidden = false;
  element("desk").hidden = element("bar").hidden = overview.isOpen();
  films.draw(photograph);
  stage.setPhotograph(photograph, guided);
  document.body.classList.toggle("guided-page", guided);
  element("hint-files").hidden = element("carrying").hidden = !guided;
  element("unguided").hidden = guided;
  element("unguided").textContent = about.guided ? "All its pages are coloured; hints are for single ones." : "This network colours by itself; it does not follow hints.";
  element("facts").textContent = photograph.film ? films.facts(photograph.film) : facts(photograph);
  element("remove").textContent = photograph.film ? "Remove film" : "Remove photograph";
  element("tools").scrollTop = 0;
  scrollTo(0, 0); // on a phone the strip lies below everything
  showBusy();
  draw();
  drawDoubts();
  drawStrip();
  say("");
  sayWhatWasSaved();
  suggest();
  try {
    await fetchBefore(photograph);
    await stage.show("before", photograph.urls.before, photograph);
    await stage.show("after", photograph.urls.after ?? photograph.urls.before, photograph);
  } catch (error) {
    blame(photograph, error);
  }
  if (photograph !== current) return;
  draw(); // with the colours that are there now
  drawStrip();
  if (!photograph.urls.after || photograph.stale) refresh(photograph);
}

/** Go so many photographs on, or back; in a film so many shots. */
function go(step) {
  const inside = element("desk").contains(document.activeElement) || document.activeElement === document.body;
  if (current.film) films.go(current, step);
  else if (photographs.length > 1) open(photographs[(photographs.indexOf(current) + step + photographs.length) % photographs.length]);
  if (inside) focusWork();
}

function toggleOverview(is = !overview.isOpen()) {
  if (is && photographs.length < 2) return;
  overview.open(is);
  element("desk").hidden = element("bar").hidden = is || !current;
  element("overview-button").setAttribute("aria-pressed", is);
  overview.draw(current);
  if (is) overview.focus();
  else if (current) {
    stage.fit();
    focusWork();
  }
}

/** Let all photographs have the strength, warmth and saturation of this one. */
function useForAll() {
  album.settle(current);
  const what = Object.fromEntries(Object.keys(LOOK).map((id) => [id, current.state[id]]));
  for (const one of photographs.filter((one) => one !== current)) {
    const { settled } = one;
    album.change(one, what, true);
    if (one.settled !== settled) Object.assign(one, { stale: true, failed: false });
  }
  say(`All ${photographs.length} photographs have this strength, warmth and saturation.`);
  develop();
}

/** A photograph has the hints and the look that another tab gave it; that can be taken back here, too. */
function takeOver(id, state) {
  const photograph = photographs.find((one) => one.id === id);
  if (!photograph) return;
  const { settled } = photograph;
  album.change(photograph, state, true);
  if (photograph.settled === settled) return;
  if (photograph.chosen >= photograph.state.hints.length) photograph.chosen = null;
  Object.assign(photograph, { stale: true, failed: false });
  if (photograph !== current) return develop();
  draw();
  sayWhatWasSaved();
  refresh(photograph);
}

/** Whether hints can be given: which page of several they would be of is not known. */
const isGuided = ({ pages }) => about.guided && pages === 1;

function facts({ name, width, height, bits, pages }) {
  const parts = [name, `${width} × ${height} pixels`, `${bits} bits`];
  return (pages > 1 ? [...parts, `${pages} pages`] : parts).join(" · ");
}

function drawStrip() {
  drawTiles([...photographs, ...films.all], current, (one) => {
    if (overview.isOpen()) toggleOverview(false);
    open(one.stills ? films.still(one) : one);
  });
  for (const id of ["download-all", "overview-button", "for-all"]) element(id).hidden = photographs.length < 2;
  if (overview.isOpen() && photographs.length < 2) toggleOverview(false);
  overview.draw(current);
}

function removePhotograph(photograph) {
  const at = takeOut(photograph);
  removal.remove(photograph, ({ message }) => complain(`${photograph.name} may not have been deleted: ${message}`));
  removal.sayRemoved(photograph, say, () => {
    photographs.splice(at, 0, photograph);
    show(photograph);
    focusWork();
  });
}

/** Take a photograph from the page. Where it was. */
function takeOut(photograph) {
  Object.assign(photograph, { removed: true, again: false });
  const at = photographs.indexOf(photograph);
  photographs.splice(at, 1);
  if (photograph === current) show(photographs[Math.min(at, photographs.length - 1)]);
  else drawStrip();
  return at;
}

/** Go to a photograph, or to the first page where there is none. */
function show(photograph) {
  const next = photograph ?? (films.all.length ? films.still(films.all[0]) : null);
  if (next) return open(next);
  current = null;
  films.draw(null);
  rest();
  for (const id of ["desk", "bar", "strip", "actions"]) element(id).hidden = true;
  element("welcome").hidden = false;
  focusWork();
}

async function add(files) {
  let first = null;
  await removal.finishAll(); // for the room that they take
  files = thatFit([...files]);
  for (const [number, file] of files.entries()) {
    const which = files.length > 1 ? `${number + 1} of ${files.length}: ${shortened(file.name)}` : shortened(file.name);
    let photograph = { name: file.name };
    try {
      if (films.isOne(file)) {
        await films.add(file);
        continue;
      }
      if (file.size > about.upload) throw new Error(`larger than ${Math.round(about.upload / 1e6)} MB, the most that is taken here`);
      const told = (share) => arriving(share < 1 ? `Sending ${which}, ${Math.round(100 * share)} %` : `Opening ${which}…`);
      told(0);
      photograph = album.makePhotograph(await server.upload(file, told), file);
      photographs.push(photograph);
      await bringBefore(photograph);
      if (photograph.removed) continue;
      if (first) drawStrip();
      else await open((first = photograph));
      develop();
    } catch (error) {
      blame(photograph, error);
    }
  }
  arriving("");
}

/** Fetch a photograph as it is. Where that cannot be it has its place all the same, and is asked for again when it is opened. */
const bringBefore = (photograph) => fetchBefore(photograph).catch((error) => blame(photograph, error));

/** Those files for which there is room; how many others there are is told once. */
function thatFit(files) {
  const fresh = files.filter((file) => !films.isOne(file));
  const over = new Set(fresh.slice(Math.max(0, about.photographs - photographs.length)));
  const most = `at most ${about.photographs} can be here at once. Remove some, then add the others.`;
  if (over.size) complain(`${over.size} of ${fresh.length} photographs ${over.size === 1 ? "is" : "are"} not taken: ${most}`);
  return files.filter((file) => !over.has(file));
}

/** Take what is dropped or pasted, and what is in folders of it. */
async function bring(brought) {
  const isWanted = (name) => !about.suffixes || about.suffixes.includes(suffix(name)) || films.isOne({ name });
  const files = await filesOf(brought, { isWanted, looking: arriving, complain });
  if (files.length) await add(files);
  else arriving("");
}

/** A name that fits in one line of a phone: its beginning and its end. */
const shortened = (name) => (name.length > 24 ? `${name.slice(0, 12)}…${name.slice(-11)}` : name);

/** What happens to a photograph that comes, said at the top, and in the middle of the first page. */
function arriving(words) {
  say(words);
  element("arriving").textContent = words;
}

async function loadHints(file) {
  try {
    current.chosen = null;
    if (current.film) await films.loadHints(current.film, await file.text());
    else edit({ hints: album.readHints(await file.text(), current) });
  } catch (error) {
    complain(`${file.name}: ${error.message}`);
  }
}

function saveHints() {
  if (current.film) return films.saveHints(current.film);
  const url = URL.createObjectURL(new Blob([album.writeHints(current.settled.hints)], { type: "application/json" }));
  copies.save(url, `${current.name}.hints.json`);
  setTimeout(() => URL.revokeObjectURL(url), 2000);
}

/** Tell what went wrong with a photograph, unless it has been removed: then nobody waits for it. */
function blame(photograph, error) {
  if (!photograph.removed) complain(error.ofAll ? error.message : `${photograph.name}: ${error.message}`);
}

function listen() {
  const on = (id, event, action) => element(id).addEventListener(event, action);
  const press = (id, action) => on(id, "click", () => element(id).getAttribute("aria-disabled") !== "true" && action());
  const pressOnce = (id, work) =>
    press(id, async () => {
      enable(id, false);
      element(id).classList.add("at-work");
      await Promise.all([work(), pause(500)]); // a second click is none of its own
      element(id).classList.remove("at-work");
      enable(id, true);
    });
  on("choose", "click", () => element("files").click());
  on("files", "change", async ({ target }) => (await add(target.files), (target.value = "")));
  on("open-hints", "click", () => element("hints-file").click());
  on("hints-file", "change", async ({ target }) => (await loadHints(target.files[0]), (target.value = "")));
  press("save-hints", saveHints);
  press("undo-button", () => travel(album.undo));
  press("redo-button", () => travel(album.redo));
  pressOnce("download", download);
  pressOnce("download-all", downloadAll);
  on("remove", "click", () => (current.film ? films.remove(current.film) : removePhotograph(current)));
  for (const kind of ["pair", "clip"]) press(kind, () => share(kind));
  press("for-all", useForAll);
  listenForLooking(press);
  addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.type === "text") return;
    event.preventDefault();
    travel(event.shiftKey ? album.redo : album.undo);
  });
  addEventListener("paste", (event) => event.clipboardData?.files.length && bring(event.clipboardData));
  const veil = (is) => (element("veil").hidden = !is);
  addEventListener("dragover", (event) => (event.preventDefault(), veil(event.dataTransfer.types.includes("Files"))));
  addEventListener("dragleave", (event) => event.relatedTarget === null && veil(false));
  addEventListener("drop", (event) => (event.preventDefault(), veil(false), bring(event.dataTransfer)));
}

/** Buttons and keys that change nothing but what is seen. */
function listenForLooking(press) {
  const fullScreen = () => (document.fullscreenElement ? document.exitFullscreen() : element("easel").requestFullscreen());
  const help = () => element("help").showModal();
  const looks = { closer: stage.closer, farther: stage.farther, all: stage.all, "full-screen": fullScreen, "help-button": help, "help-link": help };
  for (const [id, action] of Object.entries(looks)) press(id, action);
  press("overview-button", () => toggleOverview());
  element("full-screen").hidden = !document.fullscreenEnabled;
  const looking = (action) => () => current && !overview.isOpen() && action();
  const zooms = { "+": stage.closer, "=": stage.closer, "-": stage.farther, 0: stage.all };
  const inFilm = (action) => () => current.film && action();
  const frames = { p: inFilm(films.toggle), ",": inFilm(() => films.step(-1)), ".": inFilm(() => films.step(1)) };
  const actions = { ...zooms, ...frames, f: fullScreen, "[": () => go(-1), "]": () => go(1) };
  const keys = Object.fromEntries(Object.entries(actions).map(([key, action]) => [key, looking(action)]));
  listenForKeys({ ...keys, g: () => current && toggleOverview(), "?": help }, makePeek(stage.peek));
  element("overview").addEventListener("keydown", ({ key }) => key === "Escape" && toggleOverview(false));
}

async function start() {
  listen();
  removal.elsewhere((id) => {
    photographs.filter((one) => one.id === id).forEach(takeOut);
    films.gone(id);
  });
  memory.elsewhere(takeOver);
  try {
    await server.about(); // which brings the cookie
    about = await server.about();
    if (about.cookie === false) throw new Error("This page needs cookies.");
    films.offer(about.films);
    element("files").accept = [...about.suffixes, ...(about.films.lacking ? [] : about.films.suffixes)].join(",");
    element("version").textContent = `colorjax ${about.version}`;
    element("signed").hidden = !about.signed_by;
    element("signed").textContent = `What you download is signed by ${about.signed_by}.`;
    offer(about.formats);
    variants.offer(about.variants);
    drawDoubts.know(about.calibrated);
    element("promise").textContent =
      `The lightness of every pixel stays as it is; the colours are made up. Nobody else sees your photographs, and this server ` +
      `deletes them when you remove them, or after ${about.idle_minutes} quiet minutes. ` +
      `Up to ${Math.round(about.upload / 1e6)} MB and ${Math.round(about.megapixels)} megapixels each.${films.promise()}`;
    const [mine, reels] = [await server.list(), await server.films()];
    memory.prune([...mine, ...reels].map(({ id }) => id));
    for (const one of mine) photographs.push(album.makePhotograph(one));
    if (photographs.length) await open(photographs[0]);
    for (const photograph of photographs) await bringBefore(photograph);
    await films.recall(reels);
    if (current) drawStrip();
    develop();
  } catch (error) {
    complain(error.message);
  }
}

start();
