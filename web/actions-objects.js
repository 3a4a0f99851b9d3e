/** @file What is done to objects by presigned URLs: read, download, delete, take a deletion back, restore a version. */
import { baseOf } from "./format.js";

/**
 * @typedef {import("./app.js").Context} Context
 * @typedef {import("./api.d.ts").Item} Item
 * @typedef {import("./api.d.ts").Presigned} Presigned
 * @typedef {{ key: string, marker: string | null, error: any }} Removed
 */

const AT_ONCE = 6;
const BATCH = 500;
const LOOKS = 5;
const LOOK_MS = 3000;
const MOST_NAME_BYTES = 200;

/** What a place refused. */
export class ObjectError extends Error {
  /** @param {string} message @param {number} status */
  constructor(message, status) {
    super(message);
    this.status = status;
    this.code = "";
  }
}

/** Whether another attempt, or another place, may do better. @param {number | undefined} status */
const isPassing = (status) => status === undefined || status === 0 || status >= 500;

/** @param {number} ms @returns {Promise<void>} */
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/**
 * Sends what was presigned. Raises ObjectError for a refusal.
 * @param {Context} context @param {Presigned} signed @param {RequestInit} [how]
 */
export async function send(context, signed, how = {}) {
  const where = signed.route === "mrap" ? "The access point" : signed.route;
  /** @type {Response} */
  let answer;
  try {
    answer = await fetch(signed.url, { method: signed.method, headers: { ...signed.headers, ...context.headers() }, ...how });
  } catch (error) {
    if (how.signal?.aborted) throw error;
    throw new ObjectError(`${where} does not answer`, 0);
  }
  if (answer.ok) return answer;
  const text = await answer.text().catch(() => "");
  const said = /<Message>([^<]*)<\/Message>/u.exec(text)?.[1] ?? "";
  throw new ObjectError(said || `${where} answered ${answer.status}`, answer.status);
}

/**
 * An object's answer from the nearest place that has it; the places as they are now are asked for once more when the first
 * answer fails.
 * @param {Context} context @param {Item} item @param {AbortSignal} [signal]
 * @returns {Promise<{ signed: Presigned, answer: Response }>}
 */
export async function read(context, item, signal) {
  const signed = await context.client.presign(item, { signal });
  try {
    return { signed, answer: await send(context, signed, { signal }) };
  } catch (error) {
    const failed = /** @type {any} */ (error);
    if (signal?.aborted || !isPassing(failed.status)) throw error;
    const again = await context.client.presign(item, { signal });
    return { signed: again, answer: await send(context, again, { signal }) };
  }
}

/** @template T, R @param {T[]} items @param {(item: T) => Promise<R>} act @returns {Promise<R[]>} */
async function each(items, act) {
  /** @type {R[]} */
  const done = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next;
      next += 1;
      done[index] = await act(items[index]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  return done;
}

/** Presigns any number. @param {Context} context @param {Item[]} items @returns {Promise<any[]>} */
export async function presignAll(context, items) {
  /** @type {any[]} */
  const signed = [];
  for (let from = 0; from < items.length; from += BATCH) {
    const part = items.slice(from, from + BATCH);
    signed.push(...(await context.client.presign(part)).items);
  }
  return signed;
}

/** No file system takes more than 255 bytes, and no URL many thousands: a longer name loses its middle. @param {string} name */
function shortened(name) {
  const letters = [...name];
  while (new TextEncoder().encode(letters.join("")).length > MOST_NAME_BYTES) letters.splice(letters.length >> 1, 1);
  return letters.join("");
}

/** What makes a browser save it under its own name. @param {string} key */
export function attachment(key) {
  const name = shortened(baseOf(key).replace(/\/$/u, "")) || "object";
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/gu, "_");
  const exact = encodeURIComponent(name.toWellFormed ? name.toWellFormed() : name).replace(/['()*]/gu, (c) => `%${c.charCodeAt(0).toString(16)}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
}

/** @param {Context} context @param {{ key: string, version_id?: string }[]} wanted @returns {Promise<any[]>} what could not be had */
export async function download(context, wanted) {
  const signed = await presignAll(context, wanted.map((item) => ({ ...item, response_content_disposition: attachment(item.key) })));
  const good = signed.filter((item) => !item.error);
  for (const [index, item] of good.entries()) {
    if (index) await pause(400); // a browser drops downloads that begin in the same moment
    const link = document.createElement("a");
    link.href = item.url;
    link.download = "";
    document.body.append(link);
    link.click();
    link.remove();
  }
  return signed.filter((item) => item.error);
}

/** Deletes by the nearest region, else by any that answers. @param {Context} context @param {any} signed @returns {Promise<Removed>} */
async function removeOne(context, signed) {
  const { key } = signed;
  if (signed.error) return { key, marker: null, error: Object.assign(new Error(signed.message), { status: signed.status, code: signed.error }) };
  let failed;
  for (const place of [null, ...(await context.places())]) {
    try {
      const now = place ? await context.client.presign({ key, method: "DELETE", place }) : signed;
      const answer = await send(context, now);
      const made = answer.headers.get("x-amz-delete-marker") === "true" || answer.headers.has("x-amz-version-id");
      return { key, marker: made ? answer.headers.get("x-amz-version-id") : null, error: null };
    } catch (error) {
      failed = error;
      if (!isPassing(/** @type {any} */ (error).status)) break;
    }
  }
  return { key, marker: null, error: failed };
}

/** @param {Context} context @param {string[]} keys @returns {Promise<Removed[]>} */
export async function remove(context, keys) {
  const signed = await presignAll(context, keys.map((key) => ({ key, method: "DELETE" })));
  return each(signed.map((item, index) => ({ ...item, key: keys[index] })), (item) => removeOne(context, item));
}

/**
 * Takes delete markers away, in every place: S3 replicates a marker, and never the deletion of one.
 * @param {Context} context @param {Removed[]} removed
 * @returns {Promise<string[]>} the places where it could not be done, with why
 */
export async function undelete(context, removed) {
  const places = await context.places();
  /** @type {Set<string>} */
  const left = new Set();
  const sweep = async (/** @type {{ key: string, version_id: string, place: string }[]} */ markers) => {
    const signed = await presignAll(context, markers.map((marker) => ({ ...marker, method: "DELETE" })));
    await each(signed, async (item) => {
      if (item.error) return void left.add(item.message);
      try { await send(context, item); } catch (error) {
        left.add(/** @type {Error} */ (error).message);
      }
    });
  };
  const markers = removed.filter((each) => each.marker).map(({ key, marker }) => ({ key, version_id: /** @type {string} */ (marker) }));
  await sweep(markers.flatMap((marker) => places.map((place) => ({ ...marker, place }))));
  if (left.size === 0) void afterwards(context, markers, sweep);
  return [...left];
}

/**
 * A marker that was still on its way arrives after the undo: looked for a while, and taken away there too.
 * @param {Context} context @param {{ key: string, version_id: string }[]} markers
 * @param {(markers: { key: string, version_id: string, place: string }[]) => Promise<void>} sweep
 */
async function afterwards(context, markers, sweep) {
  for (let look = 0; look < LOOKS; look += 1) {
    await pause(LOOK_MS);
    const late = (await each(markers.slice(0, 50), async ({ key, version_id: version }) => {
      const found = await context.client.replicationObject(key).catch(() => null);
      const copies = found?.versions.find((made) => made.version === version)?.copies ?? [];
      return copies.filter((copy) => copy.state === "COMPLETED").map(({ place }) => ({ key, version_id: version, place }));
    })).flat();
    if (late.length) await sweep(late).catch(() => undefined);
  }
}

/** The largest version that is restored: its bytes go through this browser, since no route of the API copies. */
export const MOST_RESTORED = 100_000_000;

/** Makes an old version the newest, as a new one. @param {Context} context @param {string} key @param {string} version */
export async function restore(context, key, version) {
  const { answer } = await read(context, { key, version_id: version });
  const body = await answer.blob();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await body.arrayBuffer()));
  /** @type {Item} */
  const item = {
    key, method: "PUT", checksum_sha256: btoa(String.fromCharCode(...digest)),
    content_type: answer.headers.get("content-type") ?? "application/octet-stream",
  };
  await send(context, await context.client.presign(item), { body });
}
