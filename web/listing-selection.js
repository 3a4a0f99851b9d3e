/** @file Which entries are chosen, and from where a range is drawn. */

/** @typedef {import("./listing.js").Entry} Entry */

/** Fires `change`. */
export class Selection extends EventTarget {
  constructor() {
    super();
    /** @type {Map<string, Entry>} */
    this.chosen = new Map();
    this.anchor = 0;
  }

  get size() {
    return this.chosen.size;
  }

  /** What the actions are for: folders have no link, and S3 deletes objects one by one. */
  get objects() {
    return [...this.chosen.values()].filter((entry) => !entry.folder);
  }

  /** @param {Entry} entry */
  has(entry) {
    return this.chosen.has(entry.key);
  }

  /** @param {Entry} entry @param {number} index */
  toggle(entry, index) {
    this.anchor = index;
    if (!this.chosen.delete(entry.key)) this.chosen.set(entry.key, entry);
    this._changed();
  }

  /** Everything from the anchor to here, and nothing else. @param {Entry[]} shown @param {number} index */
  range(shown, index) {
    const [from, to] = [Math.min(this.anchor, index), Math.max(this.anchor, index)];
    this.chosen = new Map(shown.slice(from, to + 1).map((entry) => [entry.key, entry]));
    this._changed();
  }

  /** @param {Entry[]} entries */
  all(entries) {
    this.chosen = new Map(entries.map((entry) => [entry.key, entry]));
    this._changed();
  }

  /** @param {string[]} keys */
  drop(keys) {
    const before = this.size;
    for (const key of keys) this.chosen.delete(key);
    if (this.size !== before) this._changed();
  }

  clear() {
    if (this.size === 0) return;
    this.chosen.clear();
    this._changed();
  }

  _changed() {
    this.dispatchEvent(new Event("change"));
  }
}
