/** @file One object: a look into it, where it is, its metadata, its versions, and what can be done. */
import { copyLink, downloadAll, removeAll } from "./actions.js";
import { read } from "./actions-objects.js";
import { showVersions } from "./details-versions.js";
import { showWhere } from "./details-where.js";
import { announce, h, replace } from "./dom.js";
import { baseOf, bytes, moment, nameOf, visible } from "./format.js";
import { preview } from "./preview.js";
import { problemBox } from "./problems.js";

/** @typedef {import("./app.js").Context} Context */

const AGAIN_MS = 2000;
const STILL_MS = 15_000;
/** For how long after a change the catalog is asked often: it hears of it a moment later. */
const FRESH_MS = 12_000;

export class Details {
  /** @param {Context} context @param {HTMLElement} element @param {{ close: () => void, learned: (key: string) => void }} on */
  constructor(context, element, on) {
    this._context = context;
    this._on = on;
    this.element = element;
    /** @type {string | null} */
    this.key = null;
    this._stop = new AbortController();
    this._freshUntil = 0;
    element.addEventListener("keydown", (event) => { if (event.key === "Escape") on.close(); });
    document.addEventListener("nearside:changed", (event) => {
      const { keys } = /** @type {CustomEvent} */ (event).detail;
      if (this.key === null || !keys.includes(this.key)) return;
      this._freshUntil = Date.now() + FRESH_MS;
      this.open(this.key);
    });
  }

  close() {
    this._stop.abort();
    this.key = null;
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  /** @param {string} key */
  open(key) {
    const again = this.key === key;
    this._stop.abort();
    this._stop = new AbortController();
    this.key = key;
    this._parts = this._drawn(key);
    this.element.hidden = false;
    if (!again) { this.element.scrollTop = 0; announce(`Details of ${visible(baseOf(key))}`); }
    void this._look(key, this._stop.signal);
    void this._find(key, this._stop.signal);
  }

  /** Gives the panel the focus, for who came by keyboard. */
  focus() {
    /** @type {HTMLElement | null} */ (this.element.querySelector(".close"))?.focus();
  }

  /** @param {string} key */
  _drawn(key) {
    const waiting = () => h("p", { class: "quiet" }, "Asking…");
    const parts = {
      look: h("div", { class: "look" }, h("div", { class: "skeleton tall", "aria-hidden": "true" })),
      served: h("p", { class: "quiet served", role: "status" }),
      where: h("div", {}, waiting()),
      about: h("dl", { class: "about" }),
      versions: h("div", {}, waiting()),
    };
    const item = [{ key }];
    replace(this.element,
      h("div", { class: "bar-row" }, h("h2", {}, nameOf(baseOf(key))),
        h("button", { type: "button", class: "plain square close", "aria-label": "Close the details", onclick: () => this._on.close() }, "×")),
      h("div", { class: "buttons" },
        h("button", { type: "button", onclick: () => downloadAll(this._context, item) }, "Download"),
        h("button", { type: "button", onclick: () => copyLink(this._context, item) }, "Copy link"),
        h("button", { type: "button", class: "danger", onclick: (/** @type {Event} */ event) => this._remove(key, event) }, "Delete")),
      parts.look, parts.served,
      h("h3", {}, "Where it is"), parts.where,
      h("h3", {}, "Versions"), parts.versions,
      h("div", { hidden: true }, h("h3", {}, "Metadata"), parts.about));
    return parts;
  }

  /** @param {string} key @param {Event} event */
  async _remove(key, event) {
    const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
    button.disabled = true;
    const gone = await removeAll(this._context, [key]);
    button.disabled = false;
    if (gone.length && this.key === key) this._on.close();
  }

  /** What the nearest place says of it, and a preview. @param {string} key @param {AbortSignal} signal */
  async _look(key, signal) {
    const { look, served, about } = this._drawnParts;
    try {
      const { signed, answer } = await read(this._context, { key, method: "HEAD" }, signal);
      const region = answer.headers.get("x-world-region");
      const by = signed.route === "mrap" ? "the nearest region" : signed.route;
      replace(served, "Served from ", h("strong", {}, region ?? by), `: ${signed.reason}.`);
      const length = answer.headers.get("content-length");
      const type = answer.headers.get("content-type") ?? "";
      const size = length === null ? null : Number(length);
      this._about(about, key, answer.headers, size);
      await preview(this._context, look, { key }, { type, size }, signal);
    } catch (error) {
      if (signal.aborted) return;
      const { status } = /** @type {any} */ (error);
      if (status === 404) {
        replace(look, h("p", { class: "quiet nothing" }, "It is not there, or not any more. Its versions, if there are any, are below."));
        for (const button of this.element.querySelectorAll(":scope > .buttons > button")) /** @type {HTMLButtonElement} */ (button).disabled = true;
      } else replace(look, problemBox(error, () => this.open(key)));
    }
  }

  get _drawnParts() {
    return /** @type {NonNullable<typeof this._parts>} */ (this._parts);
  }

  /** @param {HTMLElement} element @param {string} key @param {Headers} headers @param {number | null} size */
  _about(element, key, headers, size) {
    const modified = headers.get("last-modified");
    /** @type {[string, any][]} */
    const facts = [
      ["Key", h("code", {}, nameOf(key))],
      ["Size", size === null ? null : `${bytes(size)}${size >= 1000 ? ` (${size.toLocaleString("en")} bytes)` : ""}`],
      ["Type", headers.get("content-type")],
      ["Modified", modified && moment(modified, "full")],
      ["ETag", headers.get("etag") && h("code", {}, headers.get("etag")?.replaceAll('"', ""))],
      ["Version", headers.get("x-amz-version-id") && h("code", {}, headers.get("x-amz-version-id"))],
      ["Cache", headers.get("cache-control")],
    ];
    /** @type {HTMLElement} */ (element.parentElement).hidden = false;
    replace(element, facts.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }

  /** Where it is, asked again while something is on its way. @param {string} key @param {AbortSignal} signal */
  async _find(key, signal) {
    const { where, versions } = this._drawnParts;
    let drawn = "";
    while (!signal.aborted) {
      let moving = false;
      try {
        const found = await this._context.client.replicationObject(key, { signal });
        if (signal.aborted) return;
        const now = JSON.stringify(found);
        const busy = where.contains(document.activeElement) || versions.contains(document.activeElement);
        if (now !== drawn && !(drawn && busy)) { // what has the focus is not taken away
          showWhere(this._context, where, found, () => this._on.learned(key));
          showVersions(this._context, versions, found);
          drawn = now;
        }
        if (found.remembered || !drawn) this._on.learned(key);
        moving = found.versions.some((made) => made.copies.some((copy) => copy.state === "PENDING"));
      } catch (error) {
        if (signal.aborted) return;
        if (!drawn) { this._unknown(error, key); drawn = " "; }
      }
      await new Promise((resolve) => { setTimeout(resolve, moving || Date.now() < this._freshUntil ? AGAIN_MS : STILL_MS); });
    }
  }

  /** @param {any} error @param {string} key */
  _unknown(error, key) {
    const { where, versions } = this._drawnParts;
    const absent = error.status === 404;
    replace(where, absent ? h("p", { class: "quiet" }, "No place has it.") : problemBox(error, () => this.open(key)));
    replace(versions, h("p", { class: "quiet" }, absent ? "None." : "Not known."));
  }
}
