/** @file The files of a drop, of a folder that was dropped, or of a chooser, each with its path. */

/** @typedef {{ file: File, path: string }} Chosen `path` has the folders that were chosen with it, such as `a/b.txt` */

/** @param {any} entry @returns {Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/** A folder's entries come a hundred at a time, until there are none. @param {any} entry @returns {Promise<any[]>} */
async function entriesOf(entry) {
  const reader = entry.createReader();
  const all = [];
  for (;;) {
    /** @type {any[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    all.push(...some);
  }
}

/**
 * @param {any} entry @param {string} folder @param {Chosen[]} found @param {string[]} unread
 * @returns {Promise<void>}
 */
async function walk(entry, folder, found, unread) {
  const path = `${folder}${entry.name}`;
  try {
    if (entry.isFile) found.push({ file: await fileOf(entry), path });
    else for (const each of await entriesOf(entry)) await walk(each, `${path}/`, found, unread);
  } catch {
    unread.push(path); // one file that may not be read does not spoil the others
  }
}

/** @param {File} file */
const chosen = (file) => ({ file, path: file.webkitRelativePath || file.name });

/**
 * @param {FileList | File[] | DataTransferItemList} list
 * @returns {Promise<{ found: Chosen[], unread: string[] }>} `unread`: the paths of what could not be read
 */
export async function filesOf(list) {
  /** @type {Chosen[]} */
  const found = [];
  /** @type {string[]} */
  const unread = [];
  // A drop's items are gone after the first wait: everything is taken out of them before.
  const items = [...list].map((item) => {
    if (item instanceof File) return chosen(item);
    if (item.kind !== "file") return null;
    return item.webkitGetAsEntry?.() ?? item.getAsFile();
  });
  for (const item of items) {
    if (!item) continue;
    if (item instanceof File) found.push(chosen(item));
    else if ("path" in item) found.push(item);
    else await walk(item, "", found, unread);
  }
  return { found, unread };
}
