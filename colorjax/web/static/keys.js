// Keys that mean the same wherever one is, unless something is being written.

const WRITES = "input[type=text], textarea, select";
const PRESSES = "button:not(.hint), a, input, select, summary, dialog, [popover]"; // to these the space bar means what it always does

/** `actions`: what each key does. `peek(is)`: the space bar, held. */
export function listenForKeys(actions, peek) {
  let held = false;
  addEventListener("keydown", (event) => {
    if (!["Shift", "Control", "Alt", "Meta"].includes(event.key)) document.body.classList.add("has-keys");
    const typed = event.getModifierState("AltGraph") || !(event.ctrlKey || event.metaKey || event.altKey); // [ needs AltGr on some
    if (!typed || event.defaultPrevented || event.target.closest?.(WRITES) || document.querySelector("dialog[open]")) return;
    if (event.key === " " && !event.target.closest?.(PRESSES)) {
      event.preventDefault();
      if (!held) peek((held = true));
    } else if (actions[event.key] && !event.repeat) {
      event.preventDefault();
      actions[event.key]();
    } else if (actions[event.key]) event.preventDefault();
  });
  addEventListener("keyup", ({ key }) => {
    if (key === " " && held) peek((held = false));
  });
  addEventListener("blur", () => held && peek((held = false)));
}
