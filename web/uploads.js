/** @file The uploads of this page and those that were left unfinished: a queue that can be paused, stopped and gone on with. */
import { BATCH, freeName, taken } from "./upload-conflicts.js";
import { Conflict, transfer } from "./upload-transfer.js";
import { Turns } from "./upload-wire.js";

/**
 * @typedef {"waiting" | "asking" | "sending" | "finishing" | "paused" | "done" | "failed" | "unfinished"} State `asking`: the
 *   object is there already; `unfinished`: begun earlier or elsewhere, its file is to be chosen again
 * @typedef {{ id: string, parts: number, part_bytes: number, checksums: boolean }} Remote
 * @typedef {object} Upload
 * @property {number} number
 * @property {string} key
 * @property {number} size
 * @property {File | null} file
 * @property {State} state
 * @property {boolean} deciding with `asking`: whether it is there is being looked up, or a free name is
 * @property {boolean} overwrite
 * @property {boolean} resumed what the store has already is to be asked for
 * @property {Remote | null} remote
 * @property {string} place
 * @property {string | null} version of the object that it made, where that is told
 * @property {Map<number, number>} sentOf bytes by part
 * @property {Map<number, import("./upload-transfer.js").Part>} parts that the store has taken
 * @property {string} trouble what is tried again
 * @property {any} error why it failed
 * @property {string | null} begunAt
 * @property {Record<string, string>} replication
 * @property {AbortController | null} control
 */

const FILES_AT_ONCE = 3;
const PARTS_AT_ONCE = 4;
const HASHES_AT_ONCE = 2; // a part is in memory while it is hashed, and only then
const MOST_KEY_BYTES = 1024;
const UNFINISHED_SHOWN = 20;

/** @param {Upload} upload */
export const sent = (upload) => [...upload.sentOf.values()].reduce((sum, bytes) => sum + bytes, 0);

/** @param {Upload} upload */
export const isActive = ({ state }) => state === "waiting" || state === "sending" || state === "finishing";

/** Fires `change` for one upload (`detail`), `list` when uploads come or go, `done` when an object is there. */
export class Uploads extends EventTarget {
  /** @param {{ client: import("./client.js").Client, headers?: () => Record<string, string> }} options */
  constructor({ client, headers = () => ({}) }) {
    super();
    this.client = client;
    /** @type {Upload[]} */
    this.all = [];
    this.paused = false;
    this._serial = 0;
    /** @type {import("./upload-transfer.js").Tools} */
    this._tools = {
      client, headers, turns: new Turns(PARTS_AT_ONCE), hashing: new Turns(HASHES_AT_ONCE),
      changed: (upload) => this._fire("change", upload),
    };
    this.ready = this.refresh().catch(() => {}); // without the route, or offline, there is just nothing to go on with
  }

  /** Lists what was left unfinished, here or on another device. */
  async refresh() {
    const { uploads } = await this.client.uploads.list();
    const known = new Set(this.all.map((upload) => upload.remote?.id));
    for (const each of uploads.slice(0, UNFINISHED_SHOWN)) if (!known.has(each.id) && each.size !== null) this.all.push(this._left(each));
    this._fire("list");
    await Promise.all(this.all.filter(({ state }) => state === "unfinished").map((upload) => this._look(upload)));
  }

  /** @param {import("./api.d.ts").Upload} each @returns {Upload} */
  _left(each) {
    const { id, parts, part_bytes, checksums } = each;
    return { ...this._new(each.key, each.size ?? 0), state: "unfinished", resumed: true, remote: { id, parts, part_bytes, checksums }, place: each.place, begunAt: each.begun_at };
  }

  /** How much of it is there. @param {Upload} upload */
  async _look(upload) {
    try {
      const shown = await this.client.uploads.show(/** @type {Remote} */ (upload.remote).id);
      if (upload.state !== "unfinished") return;
      for (const part of shown.done) upload.sentOf.set(part.number, part.size);
    } catch (/** @type {any} */ error) {
      if (upload.state !== "unfinished") return;
      if (error.status === 404) return this._drop(upload); // it was completed or ended, and the list did not know yet
      upload.error = error;
    }
    this._fire("change", upload);
  }

  /** @param {string} key @param {number} size @returns {Upload} */
  _new(key, size) {
    this._serial += 1;
    return {
      number: this._serial, key, size, file: null, state: "waiting", deciding: false, overwrite: false, resumed: false, remote: null, place: "",
      version: null, sentOf: new Map(), parts: new Map(), trouble: "", error: null, begunAt: null, replication: {}, control: null,
    };
  }

  /**
   * Adds files to the queue, under a folder's prefix.
   * @param {import("./upload-files.js").Chosen[]} files @param {string} folder
   */
  async add(files, folder) {
    await this.ready;
    // The composed form, so that a name is the same key from every system.
    const added = files.map(({ file, path }) => this._queued(file, `${folder}${path}`.normalize("NFC")));
    this._fire("list");
    const fresh = added.filter(({ deciding }) => deciding);
    this._go(); // what is gone on with has nothing to wait for
    for (let start = 0; start < fresh.length; start += BATCH) { // of thousands the first go before the last are looked up
      const some = fresh.slice(start, start + BATCH);
      const there = await taken(this.client, some.map(({ key }) => key));
      for (const upload of some) Object.assign(upload, { deciding: false, state: there.has(upload.key) ? "asking" : "waiting" });
      this._fire("list");
      this._go();
    }
    return added;
  }

  /** @param {File} file @param {string} key @returns {Upload} */
  _queued(file, key) {
    const left = this.all.find((each) => each.state === "unfinished" && each.key === key && each.size === file.size);
    if (left) return Object.assign(left, { file, state: "waiting", error: null });
    /** @type {Upload} */
    const upload = { ...this._new(key, file.size), file, state: "asking", deciding: true };
    if (new TextEncoder().encode(key).length > MOST_KEY_BYTES) {
      Object.assign(upload, { state: "failed", deciding: false });
      upload.error = new Error(`The name is too long: with its folders it has more than ${MOST_KEY_BYTES} bytes. Shorten it.`);
    }
    this.all.push(upload);
    return upload;
  }

  /** Goes on with an unfinished one. @param {Upload} upload @param {File} file @returns {string} why not, in words */
  continueWith(upload, file) {
    if (file.size !== upload.size) return `This file has ${file.size.toLocaleString("en")} bytes, and the upload ${upload.size.toLocaleString("en")}: choose the same file.`;
    Object.assign(upload, { file, state: "waiting", error: null });
    this._fire("change", upload);
    this._go();
    return "";
  }

  /** What is to become of one that is there already. @param {Upload} upload @param {"overwrite" | "both" | "skip"} choice */
  async decide(upload, choice) {
    if (upload.state !== "asking" || upload.deciding) return;
    if (choice === "skip") return this._drop(upload);
    upload.deciding = true; // two clicks are one
    this._fire("change", upload);
    if (choice === "overwrite") upload.overwrite = true;
    else upload.key = await freeName(this.client, upload.key, () => new Set(this.all.map(({ key }) => key)));
    Object.assign(upload, { deciding: false, state: "waiting" });
    this._fire("list");
    this._go();
  }

  /** @param {Upload} upload */
  pause(upload) {
    if (!isActive(upload) || upload.state === "finishing") return;
    const control = upload.control;
    upload.state = "paused";
    control?.abort();
    this._fire("change", upload);
    this._go();
  }

  /** Goes on with one that was paused, or tries one again that failed. @param {Upload} upload */
  resume(upload) {
    if (upload.error?.code === "NoSuchUpload") Object.assign(upload, { remote: null, resumed: false, parts: new Map(), sentOf: new Map() });
    Object.assign(upload, { state: "waiting", error: null, trouble: "" });
    if (this.paused && upload.file) return void this._run(upload); // this one, though the others rest
    this._fire("change", upload);
    this._go();
  }

  pauseAll() {
    this.paused = true;
    for (const upload of this.all) if (upload.state === "sending") this.pause(upload);
    this._fire("list");
  }

  resumeAll() {
    this.paused = false;
    for (const upload of this.all) if (upload.state === "paused") Object.assign(upload, { state: "waiting", error: null });
    this._fire("list");
    this._go();
  }

  /** Stops it, and forgets what the store has of it. @param {Upload} upload */
  async cancel(upload) {
    Object.assign(upload, { state: "paused", error: null });
    upload.control?.abort();
    this._fire("change", upload);
    try {
      if (upload.remote) await this.client.uploads.abort(upload.remote.id);
    } catch (/** @type {any} */ error) {
      // What the store still has stays on the list, and without its file it cannot be resumed.
      if (error.status !== 404) return this._fire("change", Object.assign(upload, { error, state: upload.file ? "paused" : "unfinished" }));
    }
    this._drop(upload);
    this._go();
  }

  /** Takes those off the list that are done. */
  clear() {
    this.all = this.all.filter(({ state }) => state !== "done");
    this._fire("list");
  }

  /** @param {Upload} upload */
  _drop(upload) {
    this.all = this.all.filter((each) => each !== upload);
    this._fire("list");
  }

  /** Lets as many go as may at once. */
  _go() {
    if (this.paused) return;
    const busy = this.all.filter(({ state }) => state === "sending" || state === "finishing").length;
    const next = this.all.filter(({ state, file }) => state === "waiting" && file).slice(0, Math.max(0, FILES_AT_ONCE - busy));
    for (const upload of next) void this._run(upload);
  }

  /** @param {Upload} upload */
  async _run(upload) {
    const control = new AbortController();
    Object.assign(upload, { state: "sending", control });
    this._fire("change", upload);
    try {
      const made = await transfer(upload, this._tools, control.signal);
      Object.assign(upload, { state: "done", trouble: "", ...made });
      this._fire("done", upload);
    } catch (error) {
      if (upload.control !== control || upload.state === "paused") this._rest(upload, control); // it was not its own doing
      else this._failed(upload, error);
    }
    this._fire("change", upload);
    this._go();
  }

  /** Stopped half-way: what the store has taken stays, what was on the wire does not. @param {Upload} upload @param {AbortController} control */
  _rest(upload, control) {
    if (upload.control !== control) return;
    for (const number of upload.sentOf.keys()) if (!upload.parts.has(number)) upload.sentOf.delete(number);
  }

  /** @param {Upload} upload @param {any} error */
  _failed(upload, error) {
    this._rest(upload, /** @type {AbortController} */ (upload.control));
    if (!(error instanceof Conflict)) return Object.assign(upload, { state: "failed", trouble: "", error });
    // It came to be there meanwhile. What was begun without leave to overwrite cannot be completed any more.
    if (upload.remote) this.client.uploads.abort(upload.remote.id).catch(() => {});
    return Object.assign(upload, { state: "asking", trouble: "", remote: null, resumed: false, parts: new Map(), sentOf: new Map() });
  }

  /** @param {string} name @param {Upload | null} [upload] */
  _fire(name, upload = null) {
    this.dispatchEvent(new CustomEvent(name, { detail: upload }));
  }
}
