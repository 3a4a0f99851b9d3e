/** @file The listing as a grid of which only the rows on screen exist. */
import { h, replace, svg } from "./dom.js";
import { listingKeys } from "./listing-keys.js";
import { fillDots, makeRow } from "./listing-row.js";

/** @typedef {import("./listing.js").Entry} Entry */

const SPARE = 8;

/** @type {[import("./listing.js").SortBy | null, string, string][]} */
const COLUMNS = [
  ["name", "Name", "c-name"], [null, "Where", "c-dots"], ["size", "Size", "c-size"], ["modified", "Modified", "c-date"],
];

/**
 * @typedef {object} GridParts
 * @property {import("./listing.js").Listing} listing
 * @property {import("./listing-selection.js").Selection} selection
 * @property {import("./listing-dots.js").Dots} dots
 * @property {(entry: Entry) => void} open
 * @property {() => void} remove
 * @property {() => void} escape
 * @property {() => void} up
 * @property {() => void} find
 * @property {() => void} aside
 */

export class Grid {
  /** @param {GridParts} parts */
  constructor(parts) {
    this._parts = parts;
    this.active = 0;
    /** @type {number | undefined} */
    this._frame = undefined;
    this._headDrawn = "";
    /** @type {Map<number, { entry: Entry, row: HTMLElement }>} */
    this._rows = new Map();
    this._rowPx = matchMedia("(pointer: coarse)").matches ? 48 : 40;
    this._all = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", tabindex: "-1", "aria-label": "Select all shown" }));
    this._all.addEventListener("click", () => this._toggleAll());
    this._head = h("div", { role: "row", class: "row head", "aria-rowindex": 1 });
    this._body = h("div", { role: "rowgroup", class: "rows" });
    this.element = h("div", { role: "grid", class: "grid", tabindex: "0", "aria-label": "Objects", "aria-multiselectable": "true" },
      h("div", { role: "rowgroup", class: "headgroup" }, this._head), this._body);
    this.element.style.setProperty("--row", `${this._rowPx}px`);
    this._listen();
    this._drawHead();
  }

  _listen() {
    const { listing, selection, dots } = this._parts;
    this.element.addEventListener("scroll", () => this._soon(), { passive: true });
    this.element.addEventListener("keydown", listingKeys({
      shown: () => listing.shown, active: () => this.active, setActive: (index) => this.setActive(index),
      pageRows: () => Math.max(1, this._visibleRows() - 1), selection,
      open: this._parts.open, remove: this._parts.remove, escape: this._parts.escape, up: this._parts.up, find: this._parts.find, aside: this._parts.aside,
    }));
    this._body.addEventListener("click", (event) => this._click(event));
    this._body.addEventListener("mousedown", (event) => { if (event.shiftKey) event.preventDefault(); }); // a range of rows, not of text
    new ResizeObserver(() => this._soon()).observe(this.element);
    selection.addEventListener("change", () => this._markSelected());
    dots.addEventListener("change", () => this._fillDots());
  }

  /** The next time the screen is drawn. */
  _soon() {
    this._frame ??= requestAnimationFrame(() => { this._frame = undefined; this.draw(); });
  }

  _visibleRows() {
    return Math.ceil((this.element.clientHeight - this._rowPx) / this._rowPx);
  }

  /** The listing changed: what is drawn may be of other entries. */
  update() {
    const { listing } = this._parts;
    const count = listing.shown.length;
    this.active = Math.min(this.active, Math.max(0, count - 1));
    this._body.style.setProperty("height", `${count * this._rowPx}px`);
    this.element.setAttribute("aria-rowcount", listing.complete || listing.filter ? String(count + 1) : "-1");
    this.element.setAttribute("aria-busy", String(listing.loading));
    this._drawHead();
    this._soon();
  }

  /** Another folder. */
  reset() {
    this.active = 0;
    this.element.scrollTop = 0;
    this._body.replaceChildren();
    this._rows.clear();
  }

  draw() {
    const { listing } = this._parts;
    const count = listing.shown.length;
    const top = Math.floor(this.element.scrollTop / this._rowPx);
    const first = Math.max(0, top - SPARE);
    const last = Math.min(count, top + this._visibleRows() + SPARE);
    for (const [index, { entry, row }] of this._rows) {
      if (index >= first && index < last && listing.shown[index] === entry) continue;
      row.remove();
      this._rows.delete(index);
    }
    let next = this._body.firstElementChild;
    for (let index = first; index < last; index += 1) {
      const row = this._rows.get(index)?.row ?? this._make(index);
      if (row === next) next = next.nextElementSibling;
      else this._body.insertBefore(row, next);
    }
    this._markActive();
    this._parts.dots.want(listing.shown.slice(first, last).filter((entry) => !entry.folder && entry.key).map((entry) => entry.key));
  }

  /** @param {number} index */
  _make(index) {
    const { listing, selection, dots } = this._parts;
    const entry = listing.shown[index];
    const row = makeRow(entry, index, { selected: selection.has(entry), dots, toggle: (at, ranged) => this._choose(at, ranged) });
    row.style.setProperty("transform", `translateY(${index * this._rowPx}px)`);
    this._rows.set(index, { entry, row });
    return row;
  }

  /** @param {number} index @param {boolean} ranged */
  _choose(index, ranged) {
    const { listing, selection } = this._parts;
    if (ranged) selection.range(listing.shown, index);
    else selection.toggle(listing.shown[index], index);
    this.setActive(index);
  }

  /** @param {MouseEvent} event */
  _click(event) {
    const target = /** @type {Element} */ (event.target);
    const row = target.closest(".row");
    if (!row) return;
    const index = Number(/** @type {HTMLElement} */ (row).dataset.index);
    const onLink = target.closest("a") !== null;
    if (onLink && (event.ctrlKey || event.metaKey)) return; // a new tab
    event.preventDefault();
    const onBox = target.closest(".c-check") !== null;
    if (onBox || event.shiftKey || event.ctrlKey || event.metaKey) return this._choose(index, event.shiftKey);
    this.setActive(index);
    this.element.focus({ preventScroll: true });
    this._parts.open(this._parts.listing.shown[index]);
  }

  _toggleAll() {
    const { listing, selection } = this._parts;
    if (selection.size) selection.clear(); else selection.all(listing.shown);
  }

  /** Moves to a row and shows it. @param {number} index */
  setActive(index) {
    this.active = index;
    const top = index * this._rowPx;
    const room = this.element.clientHeight - this._rowPx;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + this._rowPx > this.element.scrollTop + room) this.element.scrollTop = top + this._rowPx - room;
    this.draw();
  }

  _markActive() {
    for (const [index, { row }] of this._rows) row.classList.toggle("active", index === this.active);
    // Not of a row that is not there: what names nothing is an error to a screen reader.
    if (this._rows.has(this.active)) this.element.setAttribute("aria-activedescendant", `row-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  _markSelected() {
    const { selection } = this._parts;
    for (const { entry, row } of this._rows.values()) {
      const selected = selection.has(entry);
      row.setAttribute("aria-selected", String(selected));
      const box = row.querySelector("input");
      if (box) box.checked = selected;
    }
    this._markAll();
  }

  _markAll() {
    const { listing, selection } = this._parts;
    this._all.checked = selection.size > 0 && selection.size >= listing.shown.length;
    this._all.indeterminate = selection.size > 0 && !this._all.checked;
  }

  _fillDots() {
    for (const { entry, row } of this._rows.values()) {
      const cell = row.querySelector(".c-dots");
      if (cell && !cell.contains(document.activeElement)) fillDots(cell, entry, this._parts.dots);
    }
  }

  _drawHead() {
    const { listing } = this._parts;
    const drawn = JSON.stringify(listing.sort);
    this._markAll();
    if (drawn === this._headDrawn) return;
    this._headDrawn = drawn;
    const hadFocus = this._head.contains(document.activeElement) ? document.activeElement?.textContent : null;
    replace(this._head, h("div", { role: "columnheader", class: "c-check" }, this._all), COLUMNS.map(([by, words, css]) => this._column(by, words, css)));
    if (hadFocus) [...this._head.querySelectorAll("button")].find((each) => each.textContent === hadFocus)?.focus();
  }

  /** @param {import("./listing.js").SortBy | null} by @param {string} words @param {string} css */
  _column(by, words, css) {
    const { listing } = this._parts;
    if (!by) return h("div", { role: "columnheader", class: css }, words);
    const on = listing.sort.by === by;
    const arrow = on && svg("svg", { viewBox: "0 0 10 10", class: "arrow", "aria-hidden": "true" },
      svg("path", { d: listing.sort.down ? "M1 3l4 4 4-4" : "M1 7l4-4 4 4" }));
    // Newest and largest first is what a first click on those is for.
    const sort = () => listing.setSort(by, on ? !listing.sort.down : by !== "name");
    return h("div", { role: "columnheader", class: css, "aria-sort": on ? (listing.sort.down ? "descending" : "ascending") : "none" },
      h("button", { type: "button", class: "plain", onclick: sort }, words, arrow));
  }
}
