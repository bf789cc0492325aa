// What the page says: one quiet line at the top, and problems, which stay until they are closed.

const MOST = 4; // problems at a time
const element = (id) => document.getElementById(id);

/** `left()` is called when what had the focus is gone. Gives say(...words) and complain(words). */
export function makeNotices(left) {
  function say(...words) {
    const hadFocus = element("status").contains(document.activeElement);
    element("status").replaceChildren(...words);
    if (hadFocus) left();
  }

  function complain(words) {
    const problem = Object.assign(document.createElement("div"), { className: "problem", textContent: words });
    const close = Object.assign(document.createElement("button"), { className: "icon" });
    close.setAttribute("aria-label", "Close");
    close.append(element("cross-icon").content.cloneNode(true));
    close.addEventListener("click", () => (problem.remove(), left()));
    problem.append(close);
    element("problems").append(problem);
    while (element("problems").children.length > MOST) element("problems").firstChild.remove();
  }

  return { say, complain };
}
