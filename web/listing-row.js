/** @file One row of the listing. */
import { h, replace, svg } from "./dom.js";
import { bytes, folderHash, nameOf, objectHash, visible, when } from "./format.js";
import { dotRow } from "./listing-dots.js";

/** @typedef {import("./listing.js").Entry} Entry */

/** @type {[RegExp, string][]} */
const KINDS = [
  [/\.(png|jpe?g|gif|webp|avif|svg|bmp|ico|heic|tiff?)$/iu, "image"],
  [/\.(mp4|webm|mov|mkv|avi|m4v|ogv)$/iu, "video"],
  [/\.(mp3|wav|ogg|flac|m4a|aac|opus)$/iu, "audio"],
  [/\.(zip|gz|tgz|bz2|xz|zst|7z|tar|rar)$/iu, "archive"],
  [/\.(txt|md|json|csv|log|html?|xml|ya?ml|js|ts|py|css|pdf)$/iu, "text"],
];

const PATHS = {
  folder: "M2 4.5C2 3.7 2.7 3 3.5 3h3l1.6 1.8h4.4c.8 0 1.5.7 1.5 1.5v5.2c0 .8-.7 1.5-1.5 1.5h-9C2.7 13 2 12.3 2 11.5z",
  file: "M4 1.800h5l3.2 3.200v9.200H4zM9 1.800V5h3.2",
  image: "M2.5 3h11v10h-11zM2.5 11l3.2-3.5 2.6 2.7 1.9-1.7 3.3 3M10.5 5.800a.8.8 0 1 0 .1 0",
  video: "M2.5 3.500h11v9h-11zM6.7 5.900v4.200L10.3 8z",
  audio: "M6 11.800V3.500l6-1.200v8.200M6 11.800a1.7 1.7 0 1 1-.1-.6M12 10.500a1.7 1.7 0 1 1-.1-.6",
  archive: "M2.5 3h11v3h-11zM3.5 6v7h9V6M6.5 8.500h3",
  text: "M4 1.800h5l3.2 3.200v9.200H4zM6 7.500h4.200M6 9.800h4.200M6 12h2.6",
};

/** @param {Entry} entry */
function kindOf(entry) {
  if (entry.folder) return "folder";
  return KINDS.find(([pattern]) => pattern.test(entry.name))?.[1] ?? "file";
}

/** @param {Entry} entry */
export function icon(entry) {
  const kind = /** @type {keyof typeof PATHS} */ (kindOf(entry));
  return svg("svg", { viewBox: "0 0 16 16", class: `icon ${kind}`, "aria-hidden": "true" }, svg("path", { d: PATHS[kind] }));
}

/** The place where the dots go. @param {Element} cell @param {Entry} entry @param {import("./listing-dots.js").Dots} dots */
export function fillDots(cell, entry, dots) {
  if (entry.folder || dots.unavailable) return replace(cell);
  const known = dots.known.get(entry.key);
  if (!known) return replace(cell, h("span", { class: "dots waiting" }, h("span", { class: "unseen" }, "asking where it is")));
  if (known.places.length) return replace(cell, dotRow(known.places));
  const why = known.why ? `not known where: ${known.why}` : "not known where it is";
  replace(cell, h("span", { class: "dots", title: why }, "?", h("span", { class: "unseen" }, why)));
}

/**
 * @param {Entry} entry @param {number} index
 * @param {{ selected: boolean, dots: import("./listing-dots.js").Dots, toggle: (index: number, ranged: boolean) => void }} how
 */
export function makeRow(entry, index, { selected, dots, toggle }) {
  const label = entry.name === "" ? "the marker of this folder" : visible(entry.name);
  const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", tabindex: "-1", "aria-label": `Select ${label}` }));
  box.checked = selected;
  box.addEventListener("click", (event) => { event.stopPropagation(); toggle(index, event.shiftKey); });
  const place = h("div", { role: "gridcell", class: "c-dots" });
  fillDots(place, entry, dots);
  const date = entry.modified === null ? "" : when(entry.modified);
  return h("div", {
    role: "row", id: `row-${index}`, class: "row", "aria-rowindex": index + 2, "aria-selected": String(selected), "data-index": index,
  },
  h("div", { role: "gridcell", class: "c-check" }, box),
  h("div", { role: "gridcell", class: "c-name" }, icon(entry),
    h("a", { href: entry.folder ? folderHash(entry.key) : objectHash(entry.key), tabindex: "-1", title: label },
      entry.name === "" ? h("i", {}, "(this folder's marker)") : nameOf(entry.name))),
  place,
  h("div", { role: "gridcell", class: "c-size" }, entry.folder ? "" : entry.fresh ? "new" : bytes(entry.size)),
  h("div", { role: "gridcell", class: "c-date", title: entry.modified === null ? null : new Date(entry.modified).toLocaleString() }, date));
}
