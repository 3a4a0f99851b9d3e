/** @file The log of operations, live: asked again every few seconds while one looks, unless it is paused. */
import { h, replace } from "./dom.js";
import { moment, nameOf, objectHash } from "./format.js";
import { inWords } from "./problems.js";

/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("./api.d.ts").Operation} Operation */

const AGAIN_MS = 3000;
const EMPTY_MS = 10_000;
const PAGE = 50;

/** @param {Operation} each */
const identity = (each) => `${each.at}|${each.action}|${each.key}|${each.place}|${each.version}|${each.detail}`;

/** @param {Operation} each */
function row(each) {
  const name = each.key ? (each.bucket ? nameOf(`${each.bucket}/${each.key}`) : h("a", { href: objectHash(each.key) }, nameOf(each.key))) : null;
  const bad = /fail|refus|unproved/u.test(each.action);
  return h("li", { class: bad ? "bad" : "" }, h("span", { class: "at" }, moment(each.at, "clock")),
    h("div", {}, h("p", {}, h("strong", {}, each.action), each.place ? ` · ${each.place}` : null, name ? [" · ", name] : null), each.detail ? h("p", { class: "quiet" }, each.detail) : null));
}

/** The newest entries, kept up to date. */
export class LogList {
  /** @param {Context} context @param {number} most @param {() => { key?: string, place?: string }} [wanted] */
  constructor(context, most, wanted = () => ({})) {
    this._context = context;
    this._most = most;
    this._wanted = wanted;
    this._timer = 0;
    this._on = false;
    this.paused = false;
    /** @type {Operation[]} */
    this._entries = [];
    /** @type {string | null} where older ones are */
    this._cursor = null;
    this._list = h("ol", { class: "log" });
    this._said = h("p", { class: "quiet" }, "Asking…");
    this._more = h("button", { type: "button", hidden: true, onclick: () => this._older() }, "Older");
    this.element = h("div", {}, this._list, this._said, most > PAGE - 1 ? this._more : null);
    document.addEventListener("visibilitychange", () => this._soon(0));
  }

  start() { this._on = true; this._soon(0); }

  stop() { this._on = false; clearTimeout(this._timer); }

  /** Another filter. */
  restart() {
    this._entries = [];
    this._cursor = null;
    replace(this._list);
    this._soon(0);
  }

  /** @param {number} ms */
  _soon(ms) {
    clearTimeout(this._timer);
    if (this._on && !this.paused && !document.hidden) this._timer = setTimeout(() => this._ask(), ms);
  }

  async _ask() {
    const wanted = this._wanted();
    try {
      const page = await this._newest(wanted);
      if (JSON.stringify(wanted) !== JSON.stringify(this._wanted())) return this._soon(0);
      const known = new Set(this._entries.map(identity));
      const fresh = page.operations.filter((each) => !known.has(identity(each)));
      if (!this._entries.length) this._cursor = page.cursor ?? null;
      this._entries = [...fresh, ...this._entries];
      if (!this._more.isConnected) this._entries = this._entries.slice(0, this._most);
      this._draw(fresh.length);
      this._said.textContent = this._entries.length ? "" : "Nothing was done in the last 30 days, or nothing that is kept: repairs, the gateway's copies, jobs.";
    } catch (error) {
      const { title, todo } = inWords(error);
      this._said.textContent = `${title} ${todo}`;
    }
    this._soon(this._entries.length ? AGAIN_MS : EMPTY_MS);
  }

  /** A page may be empty and yet have a next one. @param {{ key?: string, place?: string }} wanted */
  async _newest(wanted) {
    let page = await this._context.client.operations({ ...wanted, limit: Math.min(PAGE, this._most) });
    for (let tries = 0; tries < 5 && !page.operations.length && page.cursor; tries += 1) {
      page = await this._context.client.operations({ ...wanted, limit: Math.min(PAGE, this._most), cursor: page.cursor });
    }
    return page;
  }

  async _older() {
    if (!this._cursor) return;
    const page = await this._context.client.operations({ ...this._wanted(), limit: PAGE, cursor: this._cursor });
    this._cursor = page.cursor ?? null;
    this._entries.push(...page.operations);
    for (const each of page.operations) this._list.append(row(each));
    this._more.hidden = !this._cursor;
  }

  /** New ones come in above; what is there stays, with the focus that may be in it. @param {number} fresh */
  _draw(fresh) {
    this._list.prepend(...this._entries.slice(0, fresh).map((each) => row(each)));
    while (this._list.children.length > this._entries.length) this._list.lastElementChild?.remove();
    this._more.hidden = !this._cursor || !this._entries.length;
  }
}

export class LogPage {
  /** @param {Context} context */
  constructor(context) {
    this._context = context;
    const key = /** @type {HTMLInputElement} */ (h("input", { type: "search", placeholder: "Of this key only", "aria-label": "Only of this key", spellcheck: "false" }));
    this._log = new LogList(context, Infinity, () => (key.value ? { key: key.value } : {}));
    key.addEventListener("change", () => this._log.restart());
    const pause = h("button", { type: "button", "aria-pressed": "false" }, "Pause");
    pause.addEventListener("click", () => {
      this._log.paused = !this._log.paused;
      pause.setAttribute("aria-pressed", String(this._log.paused));
      pause.textContent = this._log.paused ? "Go on" : "Pause";
      if (!this._log.paused) this._log.start();
    });
    this.element = h("div", { class: "page" }, h("div", { class: "bar-row" }, h("h1", {}, "What was done"), h("div", { class: "buttons" }, key, pause)), h("section", { class: "card", "aria-label": "Operations" }, this._log.element));
  }

  show() {
    document.title = `Log – ${this._context.config.name}`;
    this._log.start();
  }

  hide() { this._log.stop(); }
}
