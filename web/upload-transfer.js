/** @file One file on its way: a single PUT, or parts that are signed one by one and need not be sent twice. */
import { base64, hex, persist, put, sha256, stopped } from "./upload-wire.js";

/**
 * @typedef {import("./uploads.js").Upload} Upload
 * @typedef {import("./upload-wire.js").Turns} Turns
 * @typedef {{ client: import("./client.js").Client, headers: () => Record<string, string>, turns: Turns, hashing: Turns,
 *   changed: (upload: Upload) => void }} Tools
 * @typedef {{ number: number, etag: string, sha256?: string }} Part
 * @typedef {{ version: string | null, replication: Record<string, string> }} Made the object's version, and the state of each
 *   place, as far as they were told
 */

const PARTS_AT_ONCE = 4;
const WHOLE_BYTES = 16 * 1024 ** 2; // what is hashed in one piece before it is known how it goes

/** The object is there already, and it was not to be overwritten. */
export class Conflict extends Error {}

/** @param {any} error */
const asConflict = (error) => (error?.status === 412 || error?.code === "PreconditionFailed" ? new Conflict(error.message) : error);

/**
 * Sends the file; its object is there when this returns.
 * @param {Upload} upload @param {Tools} tools @param {AbortSignal} signal
 * @returns {Promise<Made>}
 */
export async function transfer(upload, tools, signal) {
  try {
    const made = upload.remote ? null : await begin(upload, tools, signal);
    return made ?? await multipart(upload, tools, signal);
  } catch (error) {
    throw asConflict(error);
  }
}

/**
 * Asks where it goes; a small one is sent at once.
 * @param {Upload} upload @param {Tools} tools @param {AbortSignal} signal
 * @returns {Promise<Made | null>} null: it goes in parts
 */
async function begin(upload, tools, signal) {
  const file = /** @type {File} */ (upload.file);
  const whole = file.size <= WHOLE_BYTES ? hex(await tools.hashing.run(signal, () => sha256(file))) : undefined;
  const waiting = says(upload, tools);
  return persist(async () => {
    const begun = await tools.client.uploads.begin({
      key: upload.key,
      size: file.size,
      content_type: file.type || "application/octet-stream",
      ...(whole && { sha256: whole }),
      ...(!upload.overwrite && { if_none_match: /** @type {const} */ ("*") }),
    }, { signal });
    upload.place = begun.place;
    if (begun.kind === "single") return single(upload, begun, tools, signal);
    upload.remote = { id: begun.id, parts: begun.parts, part_bytes: begun.part_bytes, checksums: true };
    return null;
  }, { signal, waiting });
}

/**
 * @param {Upload} upload @param {import("./api.d.ts").UploadBegun} begun @param {Tools} tools @param {AbortSignal} signal
 * @returns {Promise<Made>}
 */
async function single(upload, begun, tools, signal) {
  const file = /** @type {File} */ (upload.file);
  const { version } = await tools.turns.run(signal, () => put(/** @type {string} */ (begun.url), file, {
    headers: { ...tools.headers(), ...begun.headers },
    signal,
    progress: (bytes) => { upload.sentOf.set(1, bytes); upload.trouble = ""; tools.changed(upload); },
  }));
  return { version, replication: {} };
}

/**
 * @param {Upload} upload @param {Tools} tools @param {AbortSignal} signal
 * @returns {Promise<Made>}
 */
async function multipart(upload, tools, signal) {
  const remote = /** @type {NonNullable<Upload["remote"]>} */ (upload.remote);
  const options = { signal, waiting: says(upload, tools) };
  const stored = new Map();
  if (upload.resumed) {
    const shown = await persist(() => tools.client.uploads.show(remote.id, { signal }), options);
    for (const part of shown.done) stored.set(part.number, part);
  }
  const left = Array.from({ length: remote.parts }, (_, index) => index + 1).filter((number) => !upload.parts.has(number));
  const own = new AbortController(); // one part that fails for good stops the others
  const both = AbortSignal.any([signal, own.signal]);
  const work = async () => {
    for (let number = left.shift(); number !== undefined; number = left.shift()) await part(upload, number, stored.get(number), tools, both);
  };
  try {
    await Promise.all(Array.from({ length: Math.min(PARTS_AT_ONCE, remote.parts) }, work));
  } catch (error) {
    own.abort(error);
    throw error;
  }
  upload.state = "finishing";
  tools.changed(upload);
  const parts = [...upload.parts.values()].sort((a, b) => a.number - b.number);
  const done = await persist(() => tools.client.uploads.complete(remote.id, { parts }, { signal }), options);
  return { version: done.version_id, replication: done.replication };
}

/**
 * Sends one part, unless the store has these very bytes already.
 * @param {Upload} upload @param {number} number
 * @param {{ size: number, etag: string, sha256: string | null } | undefined} stored
 * @param {Tools} tools @param {AbortSignal} signal
 */
async function part(upload, number, stored, tools, signal) {
  const remote = /** @type {NonNullable<Upload["remote"]>} */ (upload.remote);
  const file = /** @type {File} */ (upload.file);
  const from = (number - 1) * remote.part_bytes;
  const slice = file.slice(from, Math.min(file.size, from + remote.part_bytes));
  const digest = remote.checksums ? base64(await tools.hashing.run(signal, () => sha256(slice))) : undefined;
  if (signal.aborted) throw stopped(signal);
  if (stored && digest && stored.size === slice.size && stored.sha256 === digest) {
    return finished(upload, tools, { number, etag: stored.etag, sha256: digest }, slice.size);
  }
  await tools.turns.run(signal, () => persist(async () => {
    const asked = { numbers: [number], ...(digest && { sha256: { [number]: digest } }) };
    const { parts: [{ url, headers }] } = await tools.client.uploads.parts(remote.id, asked, { signal });
    const progress = (/** @type {number} */ bytes) => { upload.sentOf.set(number, bytes); upload.trouble = ""; tools.changed(upload); };
    const { etag } = await put(url, slice, { headers: { ...tools.headers(), ...headers }, signal, progress });
    finished(upload, tools, { number, etag, ...(digest && { sha256: digest }) }, slice.size);
  }, { signal, waiting: (error) => { upload.sentOf.delete(number); says(upload, tools)(error); } }));
}

/** @param {Upload} upload @param {Tools} tools @param {Part} done @param {number} bytes */
function finished(upload, tools, done, bytes) {
  upload.parts.set(done.number, done);
  upload.sentOf.set(done.number, bytes);
  tools.changed(upload);
}

/** @param {Upload} upload @param {Tools} tools */
function says(upload, tools) {
  return (/** @type {any} */ error) => {
    upload.trouble = `${error.message} Trying again…`;
    tools.changed(upload);
  };
}
