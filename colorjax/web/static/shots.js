// The shots of a film as a row of pictures, the frames that have hints, and what is known of the film.

import * as server from "./server.js";
import { middleOf, sentence } from "./reel.js";

const element = (id) => document.getElementById(id);
const count = (many, word) => `${many} ${word}${many === 1 ? "" : "s"}`;

function makeShot(film, number) {
  const button = Object.assign(document.createElement("button"), { className: "shot" });
  const picture = Object.assign(document.createElement("img"), { src: server.shotPath(film.id, number), alt: "", loading: "lazy" });
  picture.style.aspectRatio = (film.width * film.aspect) / film.height;
  button.append(picture, document.createElement("b"));
  return button;
}

/** `open(frame)` is called for the shot that is chosen: with a frame of it that has hints, if one has, or with the middle one. */
export function drawShots(film, frame, open) {
  const row = element("shots");
  if (row.film !== film) {
    row.film = film;
    row.replaceChildren(...film.shots.map((_, number) => makeShot(film, number)));
  }
  for (const [number, [first, end]] of film.shots.entries()) {
    const button = row.children[number];
    const hints = film.given.filter((hint) => first <= hint.frame && hint.frame < end);
    const isHere = first <= frame && frame < end;
    const mixed = film.openings[number];
    const words = [`Shot ${number + 1} of ${film.shots.length}`, `frames ${first} to ${end - 1}`];
    words.push(mixed && `a dissolve from frame ${mixed[0]} to ${mixed[1]}`, hints.length && count(hints.length, "hint"));
    const label = words.filter(Boolean).join(", ");
    if (isHere && button.getAttribute("aria-current") !== "true") button.scrollIntoView({ block: "nearest", inline: "nearest" });
    button.setAttribute("aria-current", isHere);
    Object.assign(button, { title: label, onclick: () => open(hints[0]?.frame ?? middleOf([first, end])) });
    button.setAttribute("aria-label", label);
    button.querySelector("b").textContent = hints.length || "";
  }
}

/** The frames that have hints, to go there; and what was told of the film. */
export function drawNotes(film, open) {
  const frames = [...new Set(film.given.map((hint) => hint.frame))];
  const buttons = frames.map((frame) => {
    const many = film.given.filter((hint) => hint.frame === frame).length;
    const button = Object.assign(document.createElement("button"), { className: "plain", textContent: `${frame} (${count(many, "hint")})` });
    button.addEventListener("click", () => open(frame));
    return button;
  });
  element("hinted").replaceChildren(...buttons);
  element("hinted-line").hidden = !buttons.length;
  element("film-notes").hidden = !film.looked.told.length;
  const lines = film.looked.told.map((words) => Object.assign(document.createElement("li"), { textContent: sentence(words) }));
  element("film-told").replaceChildren(...lines);
}
