/** @file After an upload: asks again and again in which places it has arrived, until it is in all. */

/** @typedef {import("./uploads.js").Upload} Upload @typedef {import("./api.d.ts").Dot} Dot */

const FIRST_MS = 700;
const LONGEST_MS = 8_000;
const GIVE_UP_MS = 20 * 60_000;
const BATCH = 100;

export class Arrivals {
  /** @param {import("./client.js").Client} client @param {(upload: Upload) => void} changed */
  constructor(client, changed) {
    this._client = client;
    this._changed = changed;
    /** @type {Map<Upload, number>} since when each is watched */
    this._watched = new Map();
    /** @type {Map<Upload, Dot[]>} */
    this.places = new Map();
    this._timer = 0;
    this._due = 0;
    this._looking = false;
    this._wait = FIRST_MS;
  }

  /** @param {Upload} upload whose object has just been written */
  watch(upload) {
    const known = Object.entries(upload.replication).map(([place, state]) => ({ place, state: /** @type {any} */ (state), lag_ms: null, why: "" }));
    if (known.length) this.places.set(upload, known);
    this._watched.set(upload, Date.now());
    this._wait = FIRST_MS;
    if (!this._looking) this._later();
  }

  /** The next look; one that is due before it stays due, however many are to be watched meanwhile. */
  _later() {
    const due = Date.now() + this._wait;
    if (!this._watched.size || (this._timer && this._due <= due)) return;
    clearTimeout(this._timer);
    this._due = due;
    this._timer = setTimeout(() => void this._look(), this._wait);
  }

  async _look() {
    this._timer = 0;
    this._looking = true;
    const before = this._watched.size;
    const some = [...this._watched.keys()].slice(0, BATCH);
    try {
      const { objects } = await this._client.replicationObjects(some.map(({ key }) => key));
      objects.forEach((each, number) => { if ("places" in each) this._heard(some[number], each); });
    } catch (error) {
      if (/** @type {any} */ (error).status === 404) this._watched.clear(); // an API without the route
    }
    for (const [upload, since] of this._watched) if (Date.now() - since > GIVE_UP_MS) this._watched.delete(upload);
    this._looking = false;
    this._wait = this._watched.size < before ? FIRST_MS : Math.min(LONGEST_MS, this._wait * 1.3);
    this._later();
  }

  /** @param {Upload} upload @param {import("./api.d.ts").ObjectDots} heard */
  _heard(upload, { version_id, places }) {
    const since = this._watched.get(upload);
    this._watched.delete(upload);
    // To the end of the line, so that of more than a batch each has its turn.
    const again = () => { if (since !== undefined) this._watched.set(upload, since); };
    if (upload.version && upload.version !== "null" && version_id !== upload.version) return again(); // it speaks of what was overwritten
    // While nothing is told of the new object, what its region said at the end of the upload stays.
    if (places.every(({ state }) => state === "UNKNOWN" || state === "ABSENT") && this.places.has(upload)) return again();
    this.places.set(upload, places);
    if (!places.every(({ state }) => state === "COMPLETED" || state === "FAILED")) again();
    this._changed(upload);
  }
}
