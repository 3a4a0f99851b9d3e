/** @file The local world on the page: its button, and where the viewer pretends to be. */
import { h, replace } from "./dom.js";
import { problemBox } from "./problems.js";

/** @typedef {import("./app.js").Context} Context */

const KEPT = "nearside:viewer";

export class World {
  /** @param {Context} context @param {HTMLElement} element where the controls open */
  constructor(context, element) {
    this._context = context;
    this._element = element;
    /** @type {import("./world-drawer.js").WorldDrawer | null} loaded when it is first opened */
    this._drawer = null;
    this.button = h("button", { type: "button", class: "world-button", "aria-expanded": "false", "aria-controls": element.id, onclick: () => this.toggle() });
    this.pretend(sessionStorage.getItem(KEPT) ?? "");
  }

  async toggle() {
    const open = this._element.hidden;
    this._element.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    document.body.classList.toggle("with-world", open);
    if (!open) return this.button.focus();
    try {
      const { WorldDrawer } = await import("./world-drawer.js");
      this._drawer ??= new WorldDrawer(this._context, this._element, this);
      await this._drawer.look();
      if (document.activeElement === this.button) this._element.querySelector("button")?.focus(); // it is far from its button
    } catch (error) {
      replace(this._element, problemBox(error, () => { this._element.hidden = true; void this.toggle(); }));
    }
  }

  /** Every call of the API and of a place says it from now on. @param {string} where empty: nothing is pretended */
  pretend(where) {
    const headers = this._context.headers();
    if (where) headers["x-world-location"] = where; else delete headers["x-world-location"];
    sessionStorage.setItem(KEPT, where);
    replace(this.button, "World", where ? h("span", { class: "chip" }, where) : null);
  }
}
