/** @file Dialogs and bars: what asks, and what stays until it is dismissed. */
import { announce, h } from "./dom.js";

/**
 * A dialog over the page; it is closed by Escape, by its ×, and by a click beside it.
 * @param {string} title
 * @param {(close: () => void) => (Node | string | null)[]} content
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, content) {
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const id = `dialog-${Math.random().toString(36).slice(2)}`;
  const dialog = /** @type {HTMLDialogElement} */ (h("dialog", { "aria-labelledby": id }));
  const close = () => dialog.close();
  dialog.append(h("div", { class: "inside" },
    h("div", { class: "bar-row" }, h("h2", { id }, title), h("button", { type: "button", class: "plain square", "aria-label": "Close", onclick: close }, "×")),
    ...content(close).filter((each) => each !== null)));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
  dialog.addEventListener("close", () => { dialog.remove(); before?.focus(); removeEventListener("hashchange", close); });
  addEventListener("hashchange", close); // what it is about is no longer what is looked at
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * @param {string} title @param {string} text @param {string} action
 * @returns {Promise<boolean>}
 */
export function ask(title, text, action) {
  return new Promise((resolve) => {
    let agreed = false;
    const dialog = openDialog(title, (close) => [
      h("p", {}, text),
      h("div", { class: "buttons" },
        h("button", { type: "button", onclick: close }, "Cancel"),
        h("button", { type: "button", class: "danger", onclick: () => { agreed = true; close(); } }, action)),
    ]);
    dialog.addEventListener("close", () => resolve(agreed));
  });
}

/**
 * A bar at the foot of the page. It stays until it is dismissed.
 * @param {string} text
 * @param {{ label: string, run: () => Promise<string | null> } | null} [action] its words are shown afterwards; null: it is done with
 * @param {"info" | "bad"} [kind]
 */
export function showBar(text, action = null, kind = "info") {
  const words = h("p", {}, text);
  const bar = h("div", { class: `bar ${kind}`, role: "group", "aria-label": "Notice" }, words);
  if (action) {
    const button = /** @type {HTMLButtonElement} */ (h("button", { type: "button" }, action.label));
    button.addEventListener("click", async () => {
      button.disabled = true;
      words.textContent = `${action.label}…`;
      const said = await action.run();
      if (said === null) return bar.remove();
      words.textContent = said;
      announce(said);
      button.disabled = false;
    });
    bar.append(button);
  }
  bar.append(h("button", { type: "button", class: "plain square", "aria-label": "Dismiss", onclick: () => bar.remove() }, "×"));
  document.getElementById("bars")?.append(bar);
  announce(text);
  return bar;
}
