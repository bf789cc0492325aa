// The photograph as it is, as long as a button or a key is held.

const element = (id) => document.getElementById(id);

/** `shown(is)` hears whether it is to be seen. Gives a function of the same kind, for keys. */
export function makePeek(shown) {
  const button = element("peek");
  const set = (is) => {
    button.setAttribute("aria-pressed", is);
    shown(is);
  };
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    set(true);
  });
  for (const end of ["pointerup", "pointercancel", "blur"]) button.addEventListener(end, () => set(false));
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
  button.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    set(true);
  });
  button.addEventListener("keyup", () => set(false));
  addEventListener("blur", () => set(false));
  return set;
}
