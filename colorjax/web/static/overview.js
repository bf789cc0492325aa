// All photographs at once, as a grid.

const element = (id) => document.getElementById(id);

/** `chosen(photograph)` hears which one is to be worked on. */
export function makeOverview(photographs, chosen) {
  const grid = element("overview");

  function card(photograph, isCurrent) {
    const { name, urls, saved, state } = photograph;
    const button = Object.assign(document.createElement("button"), { className: "card" });
    button.setAttribute("aria-current", isCurrent);
    const picture = Object.assign(document.createElement("span"), { className: "picture" });
    const source = urls.after ?? urls.before;
    if (source) picture.append(Object.assign(document.createElement("img"), { src: source, alt: "" }));
    const said = [state.hints.length === 1 ? "1 hint" : state.hints.length && `${state.hints.length} hints`];
    said.push(!urls.after && !photograph.failed && "taking colour…", photograph.failed && "no colour", saved?.state === state && "saved");
    const facts = Object.assign(document.createElement("small"), { textContent: said.filter(Boolean).join(" · ") });
    button.append(picture, Object.assign(document.createElement("b"), { textContent: name }), facts);
    button.addEventListener("click", () => chosen(photograph));
    return button;
  }

  return {
    isOpen: () => !grid.hidden,
    open: (is) => (grid.hidden = !is),
    draw(current) {
      if (grid.hidden) return;
      const at = [...grid.children].indexOf(document.activeElement);
      grid.replaceChildren(...photographs.map((one) => card(one, one === current)));
      if (at >= 0) grid.children[Math.min(at, grid.children.length - 1)]?.focus();
    },
    focus: () => (grid.querySelector("[aria-current=true]") ?? grid.firstChild)?.focus(),
  };
}
