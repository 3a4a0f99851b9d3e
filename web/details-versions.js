/** @file The versions of one object: download one, make an old one the newest, take a deletion back. */
import { copyLink, downloadAll, failed } from "./actions.js";
import { MOST_RESTORED, restore, undelete } from "./actions-objects.js";
import { showBar } from "./actions-dialog.js";
import { h, replace } from "./dom.js";
import { baseOf, bytes, moment, visible } from "./format.js";
import { dotRow } from "./listing-dots.js";

/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("./api.d.ts").Version} Version */

const SHOWN = 10;

/** @param {string} key */
const changed = (key) => document.dispatchEvent(new CustomEvent("nearside:changed", { detail: { keys: [key], there: true } }));

/** @param {string} label @param {() => Promise<void> | void} act @param {string} what */
function busyButton(label, act, what) {
  const button = /** @type {HTMLButtonElement} */ (h("button", { type: "button", "aria-label": `${label} ${what}` }, label));
  button.addEventListener("click", async () => {
    button.disabled = true;
    try { await act(); } catch (error) { failed(`${label} did not work`, error); }
    button.disabled = false;
  });
  return button;
}

/** @param {Context} context @param {string} key @param {Version} made */
async function takeBack(context, key, made) {
  const left = await undelete(context, [{ key, marker: made.version, error: null }]);
  if (left.length) showBar(`The deletion still stands in some place (${left[0]}): try again when it is back.`, null, "bad");
  changed(key);
}

/** Whether no place has it any more. @param {Version} made */
const isGone = (made) => made.copies.every((copy) => copy.state === "ABSENT");

/** @param {Context} context @param {string} key @param {Version} made @param {number | null} size */
function buttons(context, key, made, size) {
  if (isGone(made)) return [];
  const what = `the version of ${new Date(made.made_at).toLocaleString()}`;
  if (made.marker) return made.newest ? [busyButton("Take back", () => takeBack(context, key, made), "the deletion")] : [];
  const item = { key, version_id: made.version };
  const again = !made.newest && (size ?? 0) <= MOST_RESTORED && busyButton("Restore", async () => {
    await restore(context, key, made.version);
    changed(key);
    showBar(`${visible(baseOf(key))} is again as it was at ${new Date(made.made_at).toLocaleString()}, as a new version.`);
  }, what);
  return [busyButton("Download", () => downloadAll(context, [item]), what), busyButton("Link", () => copyLink(context, [item]), `to ${what}`), again];
}

/** @param {Context} context @param {string} key @param {Version} made */
function row(context, key, made) {
  const size = made.copies.find((copy) => copy.size !== undefined && copy.size !== null)?.size ?? null;
  const places = made.copies.map((copy) => ({ place: copy.place, state: copy.state, lag_ms: copy.lag_ms, why: copy.why }));
  return h("li", {},
    h("div", {}, h("p", {}, moment(made.made_at, "clock"), made.newest ? h("span", { class: "chip" }, "newest") : null,
      made.marker ? h("span", { class: "chip bad" }, "deleted") : isGone(made) ? h("span", { class: "chip" }, "gone everywhere") : null),
    h("p", { class: "quiet" }, dotRow(places), " ", size === null ? null : bytes(size), " ", h("code", { title: made.version }, made.version.slice(0, 8)))),
    h("div", { class: "buttons small" }, buttons(context, key, made, size)));
}

/**
 * @param {Context} context @param {HTMLElement} element
 * @param {import("./api.d.ts").ObjectReplication} found
 */
export function showVersions(context, element, found) {
  // What is gone everywhere, such as a deletion that was taken back, is no version any more.
  const versions = found.versions.filter((made) => made.newest || !isGone(made));
  /** @param {number} count */
  const show = (count) => {
    const more = versions.length - count;
    replace(element, h("ul", { class: "versions" }, versions.slice(0, count).map((made) => row(context, found.key, made))),
      more > 0 ? h("button", { type: "button", onclick: () => show(versions.length) }, `Show ${more} more`) : null);
  };
  show(SHOWN);
}
