/** @file What can be done with the chosen objects, and taking a deletion back. */
import { ask, showBar } from "./actions-dialog.js";
import { download, remove, undelete } from "./actions-objects.js";
import { announce, h, replace } from "./dom.js";
import { baseOf, bytes, plural, visible } from "./format.js";
import { inWords } from "./problems.js";

/** @typedef {import("./app.js").Context} Context */

const MOST_DOWNLOADS = 20;
const MOST_DELETED = 5000;

/** @param {string[]} keys */
const called = (keys) => (keys.length === 1 ? visible(baseOf(keys[0])) : plural(keys.length, "object"));

/** @param {string[]} keys @param {boolean} there */
function tell(keys, there) {
  document.dispatchEvent(new CustomEvent("nearside:changed", { detail: { keys, there } }));
}

/** Asks for how long, and copies. @param {Context} context @param {{ key: string, version_id?: string }[]} wanted */
export async function copyLink(context, wanted) {
  try {
    (await import("./actions-link.js")).openLinks(context, wanted); // not before somebody wants it
  } catch (error) {
    failed("No link", error);
  }
}

/** @param {Context} context @param {{ key: string, version_id?: string }[]} wanted */
export async function downloadAll(context, wanted) {
  if (wanted.length > MOST_DOWNLOADS) {
    return void showBar(`A browser does not begin ${wanted.length} downloads at once: choose ${MOST_DOWNLOADS} at most, or use the nearside command or an S3 client.`);
  }
  try {
    const bad = await download(context, wanted);
    if (bad.length) showBar(`${plural(bad.length, "object")} could not be had: ${bad[0].message}`, null, "bad");
    else announce(`Downloading ${called(wanted.map((item) => item.key))}`);
  } catch (error) {
    failed("Not downloaded", error);
  }
}

/** @param {string} what @param {any} error */
export function failed(what, error) {
  const { title, todo } = inWords(error);
  showBar(`${what}: ${title} ${todo}`, null, "bad");
}

/**
 * Deletes at once where a version stays behind, and asks before where none does.
 * @param {Context} context @param {string[]} keys @returns {Promise<string[]>} what is deleted
 */
export async function removeAll(context, keys) {
  if (keys.length > MOST_DELETED) {
    showBar(`${keys.length.toLocaleString("en")} objects are more than a page should delete at once (${MOST_DELETED}): use a lifecycle rule or an S3 client.`);
    return [];
  }
  const versioned = await context.versioned();
  if (versioned !== true || keys.length > 100) {
    const why = versioned === true ? "Every one keeps its versions, and Undo brings them back."
      : versioned === false ? "The bucket keeps no versions: this cannot be undone."
        : "Whether the bucket keeps versions is not known: it may be that this cannot be undone.";
    if (!(await ask(`Delete ${called(keys)}?`, why, "Delete"))) return [];
  }
  try {
    const removed = await remove(context, keys);
    return afterRemoval(context, removed);
  } catch (error) {
    failed("Not deleted", error);
    return [];
  }
}

/** @param {Context} context @param {import("./actions-objects.js").Removed[]} removed */
function afterRemoval(context, removed) {
  const done = removed.filter((each) => !each.error);
  const bad = removed.filter((each) => each.error);
  const gone = done.map((each) => each.key);
  if (bad.length) failed(`${called(bad.map((each) => each.key))} not deleted`, bad[0].error);
  if (!gone.length) return gone;
  tell(gone, false);
  const marked = done.filter((each) => each.marker);
  if (!marked.length) showBar(`Deleted ${called(gone)}. No version is kept: it cannot be undone.`);
  else showBar(`Deleted ${called(gone)}.`, { label: "Undo", run: () => undo(context, marked) });
  return gone;
}

/** @param {Context} context @param {import("./actions-objects.js").Removed[]} removed @returns {Promise<string | null>} */
async function undo(context, removed) {
  const keys = removed.map((each) => each.key);
  try {
    const left = await undelete(context, removed);
    tell(keys, true);
    if (left.length) return `${called(keys)}: the deletion still stands in some place (${left[0]}). Undo again when it is back.`;
    announce(`${called(keys)} is back`);
    return null;
  } catch (error) {
    const { title, todo } = inWords(error);
    return `Not undone: ${title} ${todo}`;
  }
}

/**
 * The bar that is there while something is chosen.
 * @param {Context} context
 * @param {import("./listing-selection.js").Selection} selection
 */
export function actionBar(context, selection) {
  const words = h("p", { role: "status" });
  let busy = false;
  /** One at a time, however often it is clicked. @param {() => Promise<void> | void} act */
  const once = (act) => async () => {
    if (busy) return;
    busy = true;
    element.classList.add("busy");
    try { await act(); } finally { busy = false; element.classList.remove("busy"); }
  };
  const keys = () => selection.objects.map((entry) => entry.key);
  const items = () => keys().map((key) => ({ key }));
  const removeChosen = once(async () => selection.drop(await removeAll(context, keys())));
  const needing = [
    h("button", { type: "button", onclick: once(() => copyLink(context, items())) }, "Copy link"),
    h("button", { type: "button", onclick: once(() => downloadAll(context, items())) }, "Download"),
    h("button", { type: "button", class: "danger", onclick: removeChosen }, "Delete"),
  ];
  const element = h("div", { class: "chosen", role: "group", "aria-label": "With what is chosen", hidden: true }, words, needing,
    h("button", { type: "button", class: "plain", onclick: () => selection.clear() }, "Clear"));
  selection.addEventListener("change", () => {
    element.hidden = selection.size === 0;
    const objects = selection.objects;
    const size = objects.reduce((sum, entry) => sum + (entry.size ?? 0), 0);
    const folders = selection.size - objects.length;
    const left = folders ? ` (${plural(folders, "folder")} left out)` : "";
    replace(words, `${plural(objects.length, "object")}, ${bytes(size)}${left}`);
    for (const button of needing) /** @type {HTMLButtonElement} */ (button).disabled = objects.length === 0;
  });
  return { element, removeChosen };
}
