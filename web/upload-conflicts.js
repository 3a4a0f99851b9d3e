/** @file Which keys are taken already, and a name beside one that is. */

/** @typedef {import("./client.js").Client} Client */

export const BATCH = 100;
const NAMES = 50;

/** @param {import("./api.d.ts").ObjectDots | import("./api.d.ts").ObjectFailed} each */
const isThere = (each) => "places" in each && each.version_id !== null && !each.marker && each.places.some(({ state }) => state === "COMPLETED");

/**
 * Of these keys those that are objects already. What cannot be told counts as free (a region that is off must not turn
 * every name into a question): the upload itself refuses to overwrite.
 * @param {Client} client @param {string[]} keys
 * @returns {Promise<Set<string>>}
 */
export async function taken(client, keys) {
  /** @type {Set<string>} */
  const found = new Set();
  for (let start = 0; start < keys.length; start += BATCH) {
    const { objects } = await client.replicationObjects(keys.slice(start, start + BATCH)).catch(() => ({ objects: [] }));
    for (const each of objects) if (isThere(each)) found.add(each.key);
  }
  return found;
}

/** `a/photo.jpg` as `a/photo (2).jpg`. @param {string} key @param {number} number */
export function numbered(key, number) {
  const [, stem, ending] = /** @type {RegExpExecArray} */ (/^(.*?[^/])(\.[^./]*)?$/su.exec(key));
  return `${stem} (${number})${ending ?? ""}`;
}

/**
 * The first numbered name that is free.
 * @param {Client} client @param {string} key @param {() => Set<string>} promised names that others are to have
 */
export async function freeName(client, key, promised) {
  const names = Array.from({ length: NAMES }, (_, index) => numbered(key, index + 2));
  const known = await taken(client, names);
  const soon = promised(); // asked last: two that look at once must not find the same
  return names.find((name) => !known.has(name) && !soon.has(name)) ?? numbered(key, Date.now());
}
