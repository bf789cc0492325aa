// The film strip: a tile for each photograph, and one to add more.

const element = (id) => document.getElementById(id);

/** Draw it; `open(photograph)` is called for the one that is chosen. */
export function drawTiles(photographs, current, open) {
  const tiles = photographs.map((photograph) => {
    const tile = Object.assign(document.createElement("button"), { className: "tile", title: photograph.name });
    tile.setAttribute("aria-label", photograph.stills ? `${photograph.name}, a film` : photograph.name);
    tile.classList.toggle("film", Boolean(photograph.stills));
    tile.setAttribute("aria-current", photograph === (current?.film ?? current));
    const { after, before } = photograph.urls;
    if (after ?? before) {
      photograph.thumb = Object.assign(document.createElement("img"), { src: after ?? before, alt: "" });
      tile.append(photograph.thumb);
    }
    tile.addEventListener("click", () => open(photograph));
    return tile;
  });
  const add = Object.assign(document.createElement("button"), { className: "tile add", title: "Add photographs" });
  add.setAttribute("aria-label", "Add photographs");
  add.append(element("plus-icon").content.cloneNode(true));
  add.addEventListener("click", () => element("files").click());
  const strip = element("strip");
  const hadFocus = strip.contains(document.activeElement);
  strip.replaceChildren(...tiles, add);
  const here = strip.querySelector("[aria-current=true]");
  if (!hadFocus || !here) return;
  here.focus({ preventScroll: true }); // the page stays where the photograph is seen
  const at = here.offsetLeft - strip.offsetLeft;
  strip.scrollLeft = Math.min(at, Math.max(strip.scrollLeft, at + here.offsetWidth - strip.clientWidth));
}
