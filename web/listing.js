/** @file One folder's entries: fetched page by page, filtered and sorted; it knows what is on its way in and out. */
import { h } from "./dom.js";

/**
 * @typedef {{ key: string, name: string, lower: string, folder: boolean, size: number | null, modified: number | null,
 *   etag: string | null, storage: string | null, fresh: boolean }} Entry
 * @typedef {"name" | "size" | "modified"} SortBy
 */

const PAGE = 1000;
/** Browsers draw no element that is much higher than 15 million pixels. */
export const MOST = 400_000;
const EXPECT_MS = 60_000;
const ARRANGE_MS = 400;
/** For how long a region that did not answer is not asked first. */
const AVOID_MS = 15_000;

/** @returns {Promise<void>} */
const idle = () => new Promise((resolve) => {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(() => resolve(), { timeout: 150 });
  else setTimeout(resolve, 20);
});

/** @param {string} prefix @param {any} item @returns {Entry} */
function entryOf(prefix, item) {
  return {
    key: prefix + item.name,
    name: item.name,
    lower: item.name.toLowerCase(),
    folder: item.type === "folder",
    size: item.size ?? null,
    modified: item.last_modified ? Date.parse(item.last_modified) : null,
    etag: item.etag ?? null,
    storage: item.storage_class ?? null,
    fresh: false,
  };
}

/** Fires `change` when what is shown changed. */
export class Listing extends EventTarget {
  /** @param {import("./app.js").Context} context */
  constructor(context) {
    super();
    this._context = context;
    this._stop = new AbortController();
    /** @type {Map<string, { there: boolean, until: number, entry?: Entry }>} what was just written or deleted */
    this._expected = new Map();
    this._avoidUntil = 0;
    this._arrangedAt = 0;
    this.prefix = "";
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {Entry[]} what the filter leaves, in order */
    this.shown = [];
    this.filter = "";
    /** @type {{ by: SortBy, down: boolean }} */
    this.sort = { by: "name", down: false };
    this.complete = false;
    this.loading = false;
    /** @type {any} */
    this.error = null;
    /** @type {string | null} the place that answered instead of the nearest */
    this.instead = null;
    /** @type {string | null} */
    this._cursor = null;
  }

  /** @param {string} prefix */
  async open(prefix) {
    this._stop.abort();
    this._stop = new AbortController();
    const instead = this._avoidUntil > Date.now() ? this.instead : null;
    Object.assign(this, { prefix, instead, entries: [], shown: [], filter: "", sort: { by: "name", down: false }, complete: false, error: null, _cursor: null });
    await this._load(this._stop.signal);
  }

  /** Goes on where an error stopped it, or begins again. */
  async retry() {
    this._avoidUntil = 0;
    if (!this.entries.length || !this.error || this.error.status >= 500) return this.open(this.prefix);
    this._stop = new AbortController();
    return this._load(this._stop.signal);
  }

  /** @param {AbortSignal} signal */
  async _load(signal) {
    this.loading = true;
    this.error = null;
    this._changed();
    try {
      do {
        const page = await this._page(this.prefix, this._cursor, signal);
        if (signal.aborted) return;
        this._take(page.content.map((/** @type {any} */ item) => entryOf(this.prefix, item)));
        this._cursor = page.cursor ?? null;
        this.complete = !this._cursor;
        this._changed();
        if (this._cursor) await idle();
      } while (this._cursor && this.entries.length < MOST && !signal.aborted);
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
    }
    this.loading = false;
    if (this.filter || this.sort.by !== "name" || this.sort.down) this._arrange();
    this._changed();
  }

  /**
   * A page of the nearest place that answers. A folder in which nothing is any more is no error.
   * @param {string} prefix @param {string | null} cursor @param {AbortSignal} signal @returns {Promise<any>}
   */
  async _page(prefix, cursor, signal) {
    /** @param {string | undefined} place */
    const ask = (place) => this._context.client.list(prefix, { details: true, limit: PAGE, cursor: cursor ?? undefined, place }, { signal });
    try {
      return await ask(cursor ? undefined : this.instead ?? undefined);
    } catch (error) {
      const failed = /** @type {any} */ (error);
      if (failed.status === 404 && !cursor) return { content: [] };
      if (cursor || !(failed.status >= 500)) throw error;
      for (const place of await this._context.places()) {
        if (signal.aborted) throw error;
        try {
          const page = await ask(place);
          this.instead = place;
          this._avoidUntil = Date.now() + AVOID_MS;
          return page;
        } catch { /* the next one may answer */ }
      }
      throw error;
    }
  }

  /** @param {Entry[]} more */
  _take(more) {
    const kept = this._expected.size ? more.filter((entry) => this._wanted(entry)) : more;
    for (const entry of kept) this.entries.push(entry);
    const plain = !this.filter && this.sort.by === "name" && !this.sort.down;
    if (plain && this.shown.length + kept.length === this.entries.length && this.shown !== this.entries) {
      for (const entry of kept) this.shown.push(entry);
    } else if (Date.now() - this._arrangedAt > ARRANGE_MS) {
      this._arrange(); // not for every page: sorting all of them again and again is what would make it stutter
    }
  }

  /** Whether a listed entry is to be seen: not when it was just deleted and the listing has not heard of it. @param {Entry} entry */
  _wanted(entry) {
    const expected = this._expected.get(entry.key);
    if (!expected) return true;
    if (expected.there) { this._expected.delete(entry.key); return true; }
    if (expected.until < Date.now()) { this._expected.delete(entry.key); return true; }
    return false;
  }

  /** @param {string} text */
  setFilter(text) {
    this.filter = text;
    this._arrange();
    this._changed();
  }

  /** @param {SortBy} by @param {boolean} down */
  setSort(by, down) {
    this.sort = { by, down };
    this._arrange();
    this._changed();
  }

  _arrange() {
    this._arrangedAt = Date.now();
    const wanted = this.filter.trim().toLowerCase();
    const shown = wanted ? this.entries.filter((entry) => entry.lower.includes(wanted)) : this.entries.slice();
    const { by, down } = this.sort;
    const turn = down ? -1 : 1;
    if (by !== "name") {
      // Folders have neither size nor date: they stay together, first, in the order of their names.
      shown.sort((a, b) => Number(b.folder) - Number(a.folder) || turn * ((a[by] ?? -1) - (b[by] ?? -1)));
    } else if (down) {
      shown.reverse();
    }
    this.shown = shown;
  }

  _changed() {
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Objects that were just written, or deleted: seen at once, whatever the region that is listed has heard.
   * @param {string[]} keys @param {boolean} there
   */
  expect(keys, there) {
    const until = Date.now() + EXPECT_MS;
    for (const key of keys.filter((each) => this._isHere(each))) this._expected.set(key, { there, until });
    if (!there) {
      const gone = new Set(keys);
      this.entries = this.entries.filter((entry) => !gone.has(entry.key));
      this._arrange();
      this._changed();
    }
  }

  /** @param {string} key */
  _isHere(key) {
    return key.startsWith(this.prefix) && key !== this.prefix;
  }

  /** Asks the nearest region again, which did not answer before. */
  async comeHome() {
    this.instead = null;
    this._avoidUntil = 0;
    return this.refresh();
  }

  /** Lists the folder again without taking away what is seen. */
  async refresh() {
    if (this.loading) return;
    const stop = (this._stop = new AbortController());
    if (this.entries.length > 2 * PAGE) return this._addExpected();
    /** @type {any[]} */
    const items = [];
    let cursor = null;
    try {
      do {
        const page = await this._page(this.prefix, cursor, stop.signal);
        items.push(...page.content);
        cursor = page.cursor ?? null;
      } while (cursor && items.length <= 4 * PAGE);
    } catch { return; } // what is seen stays; whoever asked asks again
    if (stop.signal.aborted) return;
    this.entries = items.map((item) => entryOf(this.prefix, item)).filter((entry) => this._wanted(entry));
    this._cursor = cursor;
    this.complete = !cursor;
    this.error = null;
    this._addExpected();
    if (cursor) await this._load(stop.signal);
  }

  /** Puts in what was written and is not listed yet. */
  _addExpected() {
    const known = new Set(this.entries.map((entry) => entry.key));
    for (const [key, expected] of this._expected) {
      if (!expected.there || expected.until < Date.now()) { if (expected.there) this._expected.delete(key); continue; }
      const name = key.slice(this.prefix.length).replace(/\/.*$/su, "/");
      if (!this._isHere(key) || known.has(this.prefix + name)) continue;
      known.add(this.prefix + name);
      const entry = entryOf(this.prefix, { name, type: name.endsWith("/") ? "folder" : "object" });
      this.entries.splice(placeOf(this.entries, name), 0, { ...entry, fresh: true });
    }
    this._arrange();
    this._changed();
  }

  /** Whether something that was written is not listed yet. */
  get waiting() {
    return this.entries.some((entry) => entry.fresh);
  }
}

/** Where a name belongs in the order of names. @param {Entry[]} entries @param {string} name */
function placeOf(entries, name) {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle].name < name) low = middle + 1; else high = middle;
  }
  return low;
}

/** What the state of a listing is in words, or nothing. @param {Listing} listing */
export function stateWords(listing) {
  const { filter, shown, entries, complete, sort } = listing;
  const partly = complete ? "" : ` so far`;
  if (filter) return `${shown.length.toLocaleString("en")} of ${entries.length.toLocaleString("en")}${partly}`;
  const sorted = !complete && (sort.by !== "name" || sort.down) ? ", in order as far as loaded" : "";
  return `${entries.length.toLocaleString("en")} ${entries.length === 1 ? "entry" : "entries"}${partly}${sorted}`;
}

/** Grey rows while nothing is known yet. */
export function skeleton() {
  return h("div", { class: "skeleton", "aria-hidden": "true" }, Array.from({ length: 8 }, () => h("div", {})));
}
