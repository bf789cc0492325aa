// What the page says: one quiet line at the top, and problems, which stay until they are closed.

const element = (id) => document.getElementById(id);

/** `left()` is called when what had the focus is gone. Gives say(...words) and complain(words). */
export function makeNotices(left) {
  const list = element("problems");

  function say(...words) {
    const hadFocus = element("status").contains(document.activeElement);
    element("status").replaceChildren(...words);
    if (hadFocus) left();
  }

  function close(problem) {
    const next = problem.nextElementSibling ?? problem.previousElementSibling;
    problem.remove();
    drawAll();
    if (next) next.querySelector("button").focus();
    else left();
  }

  /** The button that closes all of them, where there are several. */
  function drawAll() {
    const several = list.children.length > 1;
    element("close-problems").hidden = !several;
    element("close-problems").textContent = `Close all ${list.children.length}`;
  }

  /** Each is there once: what is said again comes to the front. */
  function complain(words) {
    [...list.children].find(({ dataset }) => dataset.words === words)?.remove();
    const problem = Object.assign(document.createElement("div"), { className: "problem", textContent: words });
    problem.dataset.words = words;
    const button = Object.assign(document.createElement("button"), { className: "icon" });
    button.setAttribute("aria-label", "Close");
    button.append(element("cross-icon").content.cloneNode(true));
    button.addEventListener("click", () => close(problem));
    problem.append(button);
    list.append(problem);
    drawAll();
    list.scrollTop = list.scrollHeight;
  }

  element("close-problems").addEventListener("click", () => {
    list.replaceChildren();
    drawAll();
    left();
  });

  return { say, complain };
}
