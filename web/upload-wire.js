/** @file What an upload needs of the network: one PUT with its progress, patience, turns, and SHA-256. */

const STALL_MS = 90_000;
const TRIES = 8;
const LONGEST_MS = 30_000;
// A browser sets these itself, and says so in the console when a page tries to.
const ITS_OWN = new Set(["content-length", "host"]);

/** What the store said to a PUT; `status` 0: it could not be reached, or went silent. */
export class PutError extends Error {
  /** @param {string} message @param {number} status @param {string} code S3's own */
  constructor(message, status, code) {
    super(message);
    this.name = "PutError";
    this.status = status;
    this.code = code;
  }
}

/** @param {AbortSignal} signal */
export const stopped = (signal) => signal.reason ?? new DOMException("stopped", "AbortError");

/** @param {XMLHttpRequest} request */
function refusal(request) {
  const said = new DOMParser().parseFromString(request.responseText || "<Error/>", "application/xml");
  const code = said.querySelector("Code")?.textContent ?? "";
  const message = said.querySelector("Message")?.textContent || `The store answered ${request.status}.`;
  return new PutError(message, request.status, code);
}

/**
 * @param {string} url @param {Blob} body
 * @param {{ headers: Record<string, string>, signal: AbortSignal, progress?: (bytes: number) => void }} options
 * @returns {Promise<{ etag: string, version: string | null }>}
 */
export function put(url, body, { headers, signal, progress = () => {} }) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(stopped(signal));
    const request = new XMLHttpRequest();
    let timer = 0;
    const silent = () => { request.abort(); reject(new PutError("The store went silent.", 0, "Stalled")); };
    const heard = () => { clearTimeout(timer); timer = setTimeout(silent, STALL_MS); };
    const stop = () => { request.abort(); reject(stopped(signal)); };
    request.upload.addEventListener("progress", (event) => { heard(); progress(event.loaded); });
    request.addEventListener("loadend", () => { clearTimeout(timer); signal.removeEventListener("abort", stop); });
    request.addEventListener("error", () => reject(new PutError("The store cannot be reached.", 0, "Unreachable")));
    request.addEventListener("load", () => {
      if (request.status < 200 || request.status > 299) return reject(refusal(request));
      progress(body.size);
      resolve({ etag: request.getResponseHeader("ETag") ?? "", version: request.getResponseHeader("x-amz-version-id") });
    });
    signal.addEventListener("abort", stop);
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) if (!ITS_OWN.has(name.toLowerCase())) request.setRequestHeader(name, value);
    heard();
    request.send(body);
  });
}

/** @param {any} error whether the same may work a little later, with a new URL */
export function isPassing(error) {
  const { status, code } = error ?? {};
  if (status === 0 || status === 408 || status === 429 || status >= 500) return true;
  return /^(RequestTimeout|SlowDown|OperationAborted|ConditionalRequestConflict|ExpiredToken)$/.test(code) || (status === 403 && /expired/i.test(error.message));
}

/** @param {number} ms @param {AbortSignal} signal */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => { clearTimeout(timer); reject(stopped(signal)); };
    const timer = setTimeout(() => { signal.removeEventListener("abort", stop); resolve(undefined); }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** @param {AbortSignal} signal */
async function online(signal) {
  while (!navigator.onLine) await pause(500, signal);
}

/**
 * What `attempt` gives, tried again and again while that may help; offline it waits.
 * @template T @param {() => Promise<T>} attempt
 * @param {{ signal: AbortSignal, waiting?: (error: any) => void, tries?: number }} options
 * @returns {Promise<T>}
 */
export async function persist(attempt, { signal, waiting = () => {}, tries = TRIES }) {
  for (let number = 1; ; number += 1) {
    if (!navigator.onLine) waiting(new Error("You are offline."));
    await online(signal);
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted) throw stopped(signal);
      if (!isPassing(error) || number >= tries) throw error;
      waiting(error);
      await pause(Math.min(LONGEST_MS, 500 * 2 ** (number - 1)) * (0.5 + Math.random() / 2), signal);
    }
  }
}

/** Lets so many in at once; the others wait in line. */
export class Turns {
  /** @param {number} count */
  constructor(count) {
    this._free = count;
    /** @type {(() => void)[]} */
    this._line = [];
  }

  /** @template T @param {AbortSignal} signal @param {() => Promise<T>} work @returns {Promise<T>} */
  async run(signal, work) {
    if (this._free > 0) this._free -= 1;
    else await new Promise((resolve) => this._line.push(() => resolve(undefined)));
    try {
      if (signal.aborted) throw stopped(signal);
      return await work();
    } finally {
      const next = this._line.shift();
      if (next) next();
      else this._free += 1;
    }
  }
}

/** @param {Blob} blob @returns {Promise<Uint8Array>} of its bytes, which are in memory only for that */
export async function sha256(blob) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
}

/** @param {Uint8Array} digest */
export const base64 = (digest) => btoa(String.fromCharCode(...digest));

/** @param {Uint8Array} digest */
export const hex = (digest) => [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
