/** @file The explorer: where one is, the tools, the grid, and the details beside it. */
import { actionBar } from "./actions.js";
import { announce, h, replace } from "./dom.js";
import { baseOf, folderHash, folderOf, nameOf, objectHash, plural, visible } from "./format.js";
import { Dots } from "./listing-dots.js";
import { Selection } from "./listing-selection.js";
import { Grid } from "./listing-view.js";
import { Listing, MOST, skeleton, stateWords } from "./listing.js";
import { problemBox } from "./problems.js";

/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("./listing.js").Entry} Entry */

const QUIET_MS = 400;
const UNLISTED_MS = 3000;

/** @param {string} prefix */
export function breadcrumbs(prefix) {
  const parts = prefix.split("/").slice(0, -1);
  const crumbs = [h("li", {}, h("a", { href: folderHash(""), "aria-current": parts.length ? null : "page" }, "All files"))];
  for (const [index, part] of parts.entries()) {
    const path = `${parts.slice(0, index + 1).join("/")}/`;
    crumbs.push(h("li", {}, h("a", { href: folderHash(path), "aria-current": index === parts.length - 1 ? "page" : null, title: visible(part) }, nameOf(part))));
  }
  return h("nav", { class: "crumbs", "aria-label": "Folders" }, h("ol", {}, crumbs));
}

export class ExplorerPage {
  /** @param {Context} context */
  constructor(context) {
    this._context = context;
    this.listing = new Listing(context);
    this.selection = new Selection();
    this.dots = new Dots(context);
    this.prefix = "";
    this._opened = false;
    this._bar = actionBar(context, this.selection);
    /** @type {string | null} the object whose details are shown */
    this.key = null;
    /** @type {import("./details.js").Details | null} loaded when it is first needed */
    this._details = null;
    this._aside = h("aside", { class: "details", "aria-label": "Details", hidden: true });
    this.grid = new Grid({
      listing: this.listing, selection: this.selection, dots: this.dots,
      open: (entry) => this._enter(entry), remove: () => this._remove(), escape: () => this._escape(),
      up: () => this._up(), find: () => this._filter.focus(), aside: () => this._details?.focus(),
    });
    this._filter = /** @type {HTMLInputElement} */ (h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter by name", autocomplete: "off", spellcheck: "false" }));
    this._state = h("p", { class: "state", role: "status" });
    this._keys = h("p", { class: "keys" }, "↑↓ move · Enter open · → details · Space choose · / filter · Del delete · Backspace up");
    this._crumbs = h("div", { class: "crumb-row" });
    this._note = h("div", { class: "notes" });
    this._veil = h("div", { class: "veil" });
    this._sort = this._sortSelect();
    const tools = h("div", { class: "tools" }, this._filter, this._sort, this._picker("Upload files", false), this._picker("Upload folder", true));
    this._uploads = h("section", { class: "uploads", "aria-label": "Uploads" });
    this.element = h("div", { class: "explorer" },
      h("h1", { class: "unseen" }, "Files"),
      h("div", { class: "files" },
        h("div", { class: "headline" }, this._crumbs, tools), this._note,
        h("div", { class: "stage" }, this.grid.element, this._veil),
        this._bar.element,
        h("div", { class: "foot" }, this._state, this._keys), this._uploads),
      this._aside);
    this._panel = this._context.uploadPanel(this._uploads, () => this.prefix);
    this._listen();
  }

  /** For narrow screens, where the date's column has no room. */
  _sortSelect() {
    const select = /** @type {HTMLSelectElement} */ (h("select", { class: "sort", "aria-label": "Order" },
      [["name up", "Name"], ["name down", "Name, Z first"], ["modified down", "Newest"], ["modified up", "Oldest"], ["size down", "Largest"], ["size up", "Smallest"]]
        .map(([value, words]) => h("option", { value }, words))));
    select.addEventListener("change", () => {
      const [by, way] = select.value.split(" ");
      this.listing.setSort(/** @type {any} */ (by), way === "down");
    });
    return select;
  }

  /** @param {string} label @param {boolean} folder */
  _picker(label, folder) {
    const input = /** @type {HTMLInputElement} */ (h("input", { type: "file", multiple: true, webkitdirectory: folder, class: "unseen", tabindex: "-1", "aria-hidden": "true" }));
    input.addEventListener("change", () => {
      if (input.files?.length) this._panel.add(input.files);
      input.value = "";
    });
    return h("span", { class: folder ? "wide-only" : "" }, input, h("button", { type: "button", class: folder ? "" : "main", "aria-label": label, onclick: () => input.click() }, "Upload", h("span", { class: "wide-only" }, label.slice("Upload".length))));
  }

  _listen() {
    this.listing.addEventListener("change", () => this._draw());
    this._filter.addEventListener("input", () => { this.grid.reset(); this.listing.setFilter(this._filter.value); });
    this._filter.addEventListener("keydown", (event) => this._filterKey(event));
    document.addEventListener("nearside:changed", (event) => this._heard(/** @type {CustomEvent} */ (event).detail));
    document.addEventListener("nearside:online", () => this._recover());
    document.addEventListener("nearside:world", () => {
      this.dots.renew();
      this._recover();
      if (this.key !== null) this._details?.open(this.key);
    });
    for (const kind of ["dragenter", "dragover"]) this.element.addEventListener(kind, (event) => this._drag(/** @type {DragEvent} */ (event)));
    this.element.addEventListener("dragleave", (event) => {
      if (!this.element.contains(/** @type {Node | null} */ (/** @type {DragEvent} */ (event).relatedTarget))) this.element.classList.remove("dropping");
    });
    this.element.addEventListener("drop", (event) => this._drop(/** @type {DragEvent} */ (event)));
  }

  /** @param {KeyboardEvent} event */
  _filterKey(event) {
    if (event.key === "Escape" && this._filter.value) { this._filter.value = ""; this.listing.setFilter(""); event.preventDefault(); }
    else if (event.key === "ArrowDown" || event.key === "Enter" || event.key === "Escape") { this.grid.element.focus(); event.preventDefault(); }
  }

  /** @param {DragEvent} event */
  _drag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    this.element.classList.add("dropping");
  }

  /** @param {DragEvent} event */
  _drop(event) {
    this.element.classList.remove("dropping");
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this._panel.add(event.dataTransfer.items);
  }

  /** @param {string} prefix @param {string | null} key */
  show(prefix, key) {
    if (!this._opened || prefix !== this.prefix) {
      this._opened = true;
      this._marked = false;
      this.prefix = prefix;
      this._filter.value = "";
      this._sort.value = "name up";
      this.selection.clear();
      this.grid.reset();
      replace(this._crumbs, breadcrumbs(prefix));
      void this.listing.open(prefix);
    }
    document.title = `${key ? visible(baseOf(key)) : visible(baseOf(prefix)) || "All files"} – ${this._context.config.name}`;
    this.element.classList.toggle("with-details", key !== null);
    this._showDetails(key);
  }

  /** Who came by keyboard is not left on what is no longer there. @param {string | null} key */
  _showDetails(key) {
    const before = this.key;
    this.key = key;
    if (key === null) {
      const within = this._aside.contains(document.activeElement);
      this._details?.close();
      this._aside.hidden = true;
      if (within) this.grid.element.focus({ preventScroll: true });
    } else if (key !== before) {
      this._mark(key);
      void this._open(key);
    }
  }

  /** @param {string} key */
  async _open(key) {
    this._aside.hidden = false;
    if (!this._details) replace(this._aside, skeleton());
    try {
      const { Details } = await import("./details.js");
      this._details ??= new Details(this._context, this._aside, { close: () => this._leave(), learned: (each) => this.dots.forget([each]) });
      if (this.key !== key) return;
      this._details.open(key);
      if (this.grid.element.offsetParent === null) this._details.focus(); // a narrow screen shows one of the two
    } catch (error) {
      replace(this._aside, problemBox(error, () => this._open(key)));
    }
  }

  /** The details' row is the one that is marked. @param {string | null} key */
  _mark(key) {
    if (key === null) return;
    const index = this.listing.shown.findIndex((entry) => entry.key === key);
    if (index >= 0 && index !== this.grid.active) this.grid.setActive(index);
  }

  /** What could not be had before may be there now. */
  _recover() {
    if (this.listing.error) void this.listing.retry();
    else if (this.listing.instead) void this.listing.comeHome();
    if (this.key !== null && this._aside.querySelector(".problem")) void this._open(this.key);
  }

  /** @param {Entry} entry */
  _enter(entry) {
    location.hash = entry.folder ? folderHash(entry.key) : objectHash(entry.key);
  }

  _leave() {
    location.hash = folderHash(this.prefix);
  }

  _up() {
    if (this.prefix) location.hash = folderHash(folderOf(this.prefix));
  }

  _escape() {
    if (this.selection.size) this.selection.clear();
    else if (this.key !== null) this._leave();
    else if (this._filter.value) { this._filter.value = ""; this.listing.setFilter(""); }
  }

  async _remove() {
    if (this.selection.size) return this._bar.removeChosen();
    const entry = this.listing.shown[this.grid.active];
    if (!entry || entry.folder) return void announce("A folder is not deleted: choose what is in it");
    this.selection.toggle(entry, this.grid.active);
    await this._bar.removeChosen();
  }

  /** @param {{ keys: string[], there?: boolean }} detail */
  _heard({ keys, there = true }) {
    this.listing.expect(keys, there);
    this.dots.forget(keys);
    if (!there) this.selection.drop(keys);
    if (keys.some((key) => key.startsWith(this.prefix))) this._refreshSoon(QUIET_MS);
  }

  /** @param {number} ms */
  _refreshSoon(ms) {
    clearTimeout(this._timer);
    this._timer = setTimeout(async () => {
      await this.listing.refresh();
      if (this.listing.waiting) this._refreshSoon(UNLISTED_MS);
    }, ms);
  }

  _draw() {
    const { listing } = this;
    this.grid.update();
    replace(this._state, stateWords(listing), listing.loading && listing.entries.length ? ", loading…" : null);
    replace(this._note,
      listing.instead ? h("p", { class: "note" }, `The nearest region does not answer: this is what ${listing.instead} has.`) : null,
      this.dots.unavailable ? h("p", { class: "note" }, `No dots: ${this.dots.unavailable}.`) : null,
      listing.error && listing.entries.length ? problemBox(listing.error, () => listing.retry()) : null,
      !listing.complete && !listing.loading && listing.entries.length >= MOST ? h("p", { class: "note" }, `These are the first ${plural(MOST, "entry", "entries")}; open a folder in it to see the rest.`) : null);
    this._drawVeil();
    if (this.key !== null && !this._marked) this._markOnce();
  }

  /** Once, when its row came to be known: later moves of the keyboard are the reader's own. */
  _markOnce() {
    const { key } = this;
    this._marked = this.listing.shown.some((entry) => entry.key === key);
    if (this._marked) this._mark(key);
  }

  _drawVeil() {
    const { listing } = this;
    const empty = listing.shown.length === 0;
    this._veil.hidden = !empty;
    if (!empty) return this._veil.replaceChildren();
    if (listing.loading && !listing.entries.length) replace(this._veil, skeleton());
    else if (listing.error) replace(this._veil, problemBox(listing.error, () => listing.retry()));
    else if (listing.filter) replace(this._veil, h("p", { class: "empty" }, `Nothing here has “${visible(listing.filter)}” in its name${listing.complete ? "" : ", as far as loaded"}.`));
    else replace(this._veil, h("div", { class: "empty" }, h("p", {}, h("strong", {}, this.prefix ? "This folder is empty." : "The bucket is empty.")), h("p", {}, "Drop files here, or choose Upload files.")));
  }
}
