/** @file The uploads at the foot of the page: a summary, a question where names are taken, and a row for each. */
import { announce, h, replace } from "./dom.js";
import { bytes, plural } from "./format.js";
import { Arrivals } from "./upload-arrivals.js";
import { percent, Row } from "./upload-row.js";
import { isActive, sent, Uploads } from "./uploads.js";

/** @typedef {import("./uploads.js").Upload} Upload */

const ROWS = 60;
const SPEED_MS = 4_000;
/** @type {Record<import("./uploads.js").State, number>} what needs somebody comes first */
const ORDER = { asking: 0, failed: 1, sending: 2, finishing: 2, unfinished: 3, paused: 4, waiting: 5, done: 6 };

/** What is only being looked up needs nobody yet. @param {Upload} upload */
const rank = ({ state, deciding }) => (deciding ? ORDER.waiting : ORDER[state]);

class Panel {
  /** @param {{ uploads: Uploads, element: HTMLElement }} options */
  constructor({ uploads, element }) {
    this.uploads = uploads;
    this._element = element;
    /** @type {Map<Upload, Row>} */
    this._rows = new Map();
    this._due = 0;
    /** @type {{ at: number, bytes: number }[]} */
    this._measured = [];
    this._arrivals = new Arrivals(uploads.client, () => this._soon());
    this._build();
    uploads.addEventListener("change", () => this._soon());
    uploads.addEventListener("list", () => this._soon());
    uploads.addEventListener("done", (event) => this._done(/** @type {CustomEvent<Upload>} */ (event).detail));
    window.addEventListener("beforeunload", (event) => { if (uploads.all.some(isActive)) event.preventDefault(); });
    this._draw();
  }

  _build() {
    const button = (/** @type {string} */ text, /** @type {() => void} */ act) => h("button", { type: "button", onclick: act }, text);
    const { uploads } = this;
    this._summary = h("span", { class: "uploads-summary" });
    this._overall = /** @type {HTMLProgressElement} */ (h("progress", { "aria-label": "All uploads", class: "uploads-overall" }));
    this._pause = button("Pause all", () => (uploads.paused ? uploads.resumeAll() : uploads.pauseAll()));
    this._clear = button("Clear finished", () => { uploads.clear(); this._element.focus(); });
    this._question = h("div", { class: "uploads-question", role: "group", "aria-label": "Names that are taken" });
    this._list = h("ul", { class: "uploads-list" });
    this._more = h("p", { class: "uploads-more" });
    this._list.tabIndex = 0; // it scrolls, so it must be reached by keyboard too
    this._list.setAttribute("aria-label", "Each upload");
    const { _summary, _pause, _clear, _overall, _question, _list, _more } = this;
    this._element.classList.add("uploads");
    this._element.tabIndex = -1;
    this._element.setAttribute("role", "region");
    this._element.setAttribute("aria-label", "Uploads");
    replace(this._element, h("div", { class: "uploads-head" }, h("h2", {}, "Uploads"), _summary, h("span", { class: "uploads-buttons" }, _pause, _clear)), _overall, _question, _list, _more);
  }

  _soon() {
    this._due ||= requestAnimationFrame(() => { this._due = 0; this._draw(); });
    // A tab in the background gets no frames; what it shows is drawn when it comes back.
  }

  /** @param {Upload} upload */
  _done(upload) {
    this._arrivals.watch(upload);
    document.dispatchEvent(new CustomEvent("nearside:changed", { detail: { keys: [upload.key] } }));
    const { all } = this.uploads;
    if (!all.some((each) => isActive(each) && each !== upload)) {
      const failed = all.filter(({ state }) => state === "failed").length;
      announce(`${plural(all.filter(({ state }) => state === "done").length, "upload")} done${failed ? `, ${failed} failed` : ""}.`);
    }
  }

  _draw() {
    const { all, paused } = this.uploads;
    this._element.hidden = all.length === 0;
    if (!all.length) return;
    this._total(all);
    /** @type {HTMLElement} */ (this._pause).textContent = paused ? "Resume all" : "Pause all";
    /** @type {HTMLElement} */ (this._pause).hidden = !paused && !all.some(isActive);
    /** @type {HTMLElement} */ (this._clear).hidden = !all.some(({ state }) => state === "done");
    this._ask(all.filter(({ state, deciding }) => state === "asking" && !deciding));
    this._show([...all].sort((a, b) => rank(a) - rank(b) || a.number - b.number));
  }

  /** @param {Upload[]} all */
  _total(all) {
    const mine = all.filter(({ state }) => state !== "unfinished" && state !== "asking");
    const size = mine.reduce((sum, upload) => sum + upload.size, 0);
    const done = mine.reduce((sum, upload) => sum + (upload.state === "done" ? upload.size : sent(upload)), 0);
    const finished = mine.filter(({ state }) => state === "done").length;
    const speed = mine.some(({ state }) => state === "sending") ? this._speed(done) : 0;
    const text = mine.length ? `${finished} of ${mine.length} done, ${percent(done, size)}${speed ? `, ${bytes(speed)}/s` : ""}` : "";
    /** @type {HTMLElement} */ (this._summary).textContent = text;
    const overall = /** @type {HTMLProgressElement} */ (this._overall);
    overall.max = size || 1;
    overall.value = done;
    overall.hidden = !mine.some((upload) => isActive(upload) || upload.state === "paused");
  }

  /** Bytes per second over the last seconds. @param {number} done */
  _speed(done) {
    const now = performance.now();
    this._measured = [...this._measured.filter(({ at, bytes: of }) => now - at < SPEED_MS && of <= done), { at: now, bytes: done }];
    const [first] = this._measured;
    return now - first.at > 500 ? Math.round(((done - first.bytes) * 1000) / (now - first.at)) : 0;
  }

  /** One answer for all names that are taken. @param {Upload[]} asking */
  _ask(asking) {
    const question = /** @type {HTMLElement} */ (this._question);
    question.hidden = asking.length < 2;
    const text = `${asking.length} of these names are taken.`;
    if (question.hidden || question.dataset.text === text) return;
    question.dataset.text = text;
    const all = (/** @type {"overwrite" | "both" | "skip"} */ choice) => () => Promise.all(
      this.uploads.all.filter(({ state }) => state === "asking").map((upload) => this.uploads.decide(upload, choice)));
    replace(question, h("span", {}, text),
      h("button", { type: "button", onclick: all("overwrite") }, "Overwrite all"),
      h("button", { type: "button", onclick: all("both") }, "Keep both of each"),
      h("button", { type: "button", onclick: all("skip") }, "Skip all"));
    announce(text);
  }

  /** @param {Upload[]} ordered */
  _show(ordered) {
    const list = /** @type {HTMLElement} */ (this._list);
    const shown = ordered.slice(0, ROWS);
    const rows = shown.map((upload) => this._row(upload));
    const kept = new Set(shown);
    for (const upload of this._rows.keys()) if (!kept.has(upload)) this._rows.delete(upload);
    const elements = rows.map(({ element }) => element);
    const same = list.children.length === elements.length && elements.every((element, index) => list.children[index] === element);
    if (!same) this._reorder(list, elements);
    for (const row of rows) row.show(this._arrivals.places.get(row.upload));
    const more = ordered.length - shown.length;
    /** @type {HTMLElement} */ (this._more).textContent = more > 0 ? `and ${plural(more, "more upload")}` : "";
  }

  /** Moving an element takes the focus off it: it is given back. @param {HTMLElement} list @param {HTMLElement[]} elements */
  _reorder(list, elements) {
    const focused = /** @type {HTMLElement | null} */ (list.contains(document.activeElement) ? document.activeElement : null);
    list.replaceChildren(...elements);
    if (focused && list.contains(focused)) focused.focus();
    else if (focused) list.focus();
  }

  /** @param {Upload} upload @returns {Row} */
  _row(upload) {
    const row = this._rows.get(upload) ?? new Row(upload, this.uploads);
    this._rows.set(upload, row);
    return row;
  }
}

/** Its own style sheet, so that whoever takes the panel takes that too. */
function dress() {
  const href = new URL("./upload-view.css", import.meta.url).href;
  if (document.querySelector(`link[href="${href}"]`)) return;
  document.head.append(h("link", { rel: "stylesheet", href }));
}

/**
 * @param {import("./upload-panel.js").Options} options
 * @returns {Uploads}
 */
export function createUploadView({ client, element, headers = {} }) {
  dress();
  const uploads = new Uploads({ client, headers: () => (typeof headers === "function" ? headers() : headers) });
  new Panel({ uploads, element });
  return uploads;
}
