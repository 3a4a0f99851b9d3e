/** @file For each object on screen: in which places it is. Asked for in batches, and again while something is on its way. */
import { h, svg } from "./dom.js";
import { duration } from "./format.js";

/**
 * @typedef {"COMPLETED" | "PENDING" | "FAILED" | "ABSENT" | "UNKNOWN"} State
 * @typedef {{ place: string, state: State, lag_ms?: number | null, why?: string | null }} PlaceState
 * @typedef {{ places: PlaceState[], version: string | null, at: number, why?: string }} Known
 */

const BATCH = 100;
const SETTLE_MS = 120;
const AGAIN_MS = 2000;
const UNKNOWN_MS = 10_000;
/** For how long after a change it is asked again: the catalog hears of it a moment later. */
const FRESH_MS = 10_000;

/** @type {Record<State, string>} */
const WORDS = {
  COMPLETED: "has it",
  PENDING: "on its way",
  FAILED: "failed",
  ABSENT: "not there",
  UNKNOWN: "not known",
};

/** A state in words. @param {State} state */
export const stateText = (state) => WORDS[state] ?? String(state).toLowerCase();

/** What one dot says. @param {PlaceState} each */
export function dotText({ place, state, lag_ms: lag, why }) {
  const took = state === "COMPLETED" && lag ? ` after ${duration(lag)}` : "";
  return `${place}: ${stateText(state)}${took}${why && state !== "COMPLETED" ? ` (${why})` : ""}`;
}

/** Each state has a shape of its own, so that colour is never needed. @param {State} state */
export function dotShape(state) {
  const inner = {
    COMPLETED: [svg("circle", { cx: 8, cy: 8, r: 6, class: "fill" }), svg("path", { d: "M5 8.2l2.2 2.2 4-4.6", class: "cut" })],
    PENDING: [svg("circle", { cx: 8, cy: 8, r: 5.2, class: "line" }), svg("path", { d: "M8 2.8a5.2 5.2 0 0 1 0 10.4z", class: "fill" })],
    FAILED: [svg("path", { d: "M8 1.4l6.6 6.6L8 14.6 1.4 8z", class: "fill" }), svg("path", { d: "M8 4.8v4M8 10.6v.6", class: "cut" })],
    ABSENT: [svg("circle", { cx: 8, cy: 8, r: 5.2, class: "line" })],
    UNKNOWN: [svg("circle", { cx: 8, cy: 8, r: 5.2, class: "line dashed" }), svg("path", { d: "M6.4 6.6a1.6 1.6 0 1 1 2.3 1.5c-.5.3-.7.5-.7 1M8 11v.3", class: "line thin" })],
  }[state] ?? [];
  return svg("svg", { viewBox: "0 0 16 16", class: `dot ${state.toLowerCase()}`, "aria-hidden": "true" }, inner);
}

/** A row of dots. @param {PlaceState[]} places */
export function dotRow(places) {
  return h("span", { class: "dots", role: "img", "aria-label": places.map(dotText).join("; ") },
    places.map((each) => h("span", { title: dotText(each) }, dotShape(each.state))));
}

/** Fires `change` when something came to be known. */
export class Dots extends EventTarget {
  /** @param {import("./app.js").Context} context */
  constructor(context) {
    super();
    this._context = context;
    /** @type {Map<string, Known>} */
    this.known = new Map();
    /** @type {string} why nothing can be known, in words */
    this.unavailable = "";
    /** @type {string[]} */
    this._wanted = [];
    this._timer = 0;
    this._renewed = 0;
    /** @type {Map<string, number>} what changed, and until when it is asked about again */
    this._fresh = new Map();
    this._asking = false;
  }

  /** The objects that are on screen now. @param {string[]} keys */
  want(keys) {
    this._wanted = keys;
    if (!this.unavailable) this._later(SETTLE_MS);
  }

  /** These changed. @param {string[]} keys */
  forget(keys) {
    for (const key of keys) { this.known.delete(key); this._fresh.set(key, Date.now() + FRESH_MS); }
    this._later(SETTLE_MS);
  }

  /** The world changed: what is shown stays until it is known anew. */
  renew() {
    for (const known of this.known.values()) known.at = 0;
    this._renewed = Date.now();
    this._later(SETTLE_MS);
  }

  /** @param {number} ms */
  _later(ms) {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._ask(), ms);
  }

  /** @param {string} key */
  _due(key) {
    const known = this.known.get(key);
    if (!known || known.at < this._renewed) return true;
    if (known.places.some((each) => each.state === "UNKNOWN")) return Date.now() - known.at > UNKNOWN_MS;
    return this._moving(key) && Date.now() - known.at > AGAIN_MS - 100;
  }

  async _ask() {
    if (this._asking || this.unavailable) return;
    const keys = document.hidden ? [] : this._wanted.filter((key) => this._due(key)).slice(0, BATCH);
    if (keys.length) {
      this._asking = true;
      try {
        const answer = await this._context.client.replicationObjects(keys);
        for (const item of answer.objects) this._learn(item);
      } catch (error) {
        this._fail(/** @type {any} */ (error), keys);
      }
      this._asking = false;
      this.dispatchEvent(new Event("change"));
    }
    if (this._wanted.some((key) => this._due(key) || this._moving(key))) this._later(keys.length === BATCH ? 0 : AGAIN_MS);
  }

  /** Whether it is to be asked for again. @param {string} key */
  _moving(key) {
    if ((this._fresh.get(key) ?? 0) > Date.now()) return true;
    return this.known.get(key)?.places.some((each) => each.state === "PENDING" || each.state === "UNKNOWN") ?? false;
  }

  /** @param {any} item */
  _learn(item) {
    const known = item.error
      ? { places: [], version: null, at: Date.now(), why: item.message }
      : { places: item.places, version: item.version_id ?? null, at: Date.now() };
    this.known.set(item.key, known);
  }

  /** @param {any} error @param {string[]} keys */
  _fail(error, keys) {
    if (error.status === 404 || error.status === 405) this.unavailable = "this API does not tell where objects are";
    else if (error.status === 403) this.unavailable = "you may not see where objects are";
    else for (const key of keys) if (!this.known.has(key)) this.known.set(key, { places: [], version: null, at: Date.now(), why: error.message });
  }
}
