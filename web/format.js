/** @file Keys, sizes, times and addresses as a person reads them. */
import { h } from "./dom.js";

/** What would not be seen, or would let a name look like another: controls, and what turns the direction of text. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|^ +| +$/gu;
const NAMED = { "\t": "TAB", "\n": "LF", "\r": "CR", "\u202e": "RLO", "\u202d": "LRO", "\u200b": "ZWSP" };

/** @param {string} found */
function spelled(found) {
  if (found[0] === " ") return found.length > 1 ? `SP×${found.length}` : "SP";
  return NAMED[/** @type {keyof NAMED} */ (found)] ?? `U+${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A name as text, where nothing is hidden. @param {string} text */
export function visible(text) {
  return text.replace(UNSEEN, (found) => `‹${spelled(found)}›`);
}

/** A name as an element: on its own in the direction of text, and what cannot be seen spelled out. @param {string} text */
export function nameOf(text) {
  const bdi = h("bdi", { class: "name" });
  if (text === "" || text === "/") return fillName(bdi, ["(empty name)", text]);
  let last = 0;
  for (const match of text.matchAll(UNSEEN)) {
    bdi.append(text.slice(last, match.index), h("span", { class: "ctl" }, spelled(match[0])));
    last = (match.index ?? 0) + match[0].length;
  }
  bdi.append(text.slice(last));
  return bdi;
}

/** @param {HTMLElement} bdi @param {string[]} parts */
function fillName(bdi, [words, rest]) {
  bdi.append(h("i", {}, words), rest);
  return bdi;
}

/** @param {number | null | undefined} count */
export function bytes(count) {
  if (count === null || count === undefined) return "";
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 9.95 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

const DAY = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** @param {Date} date */
const day = (date) => (date.toDateString() === new Date().toDateString() ? "Today" : DAY.format(date));

/** The time of today, the day of before. @param {number} ms */
export function when(ms) {
  const date = new Date(ms);
  return day(date) === "Today" ? `Today ${TIME.format(date)}` : DAY.format(date);
}

/** A `<time>` with the exact moment behind it. @param {string | number} at @param {"short" | "clock" | "full"} [style] */
export function moment(at, style = "short") {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return h("span", {}, String(at));
  const text = style === "full" ? FULL.format(date) : style === "clock" ? `${day(date)} ${CLOCK.format(date)}` : when(date.getTime());
  return h("time", { datetime: date.toISOString(), title: FULL.format(date) }, text);
}

/** A key in a URL's fragment: every part escaped, every slash kept. @param {string} key */
export function escaped(key) {
  return key.split("/").map((part) => encodeURIComponent(part.toWellFormed ? part.toWellFormed() : part)).join("/");
}

/** @param {string} text */
function unescaped(text) {
  return text.split("/").map((part) => {
    try { return decodeURIComponent(part); } catch { return part; } // typed by hand: a lone % is a %
  }).join("/");
}

/** The address of a folder (`""` is the top, others end with a slash). @param {string} prefix */
export const folderHash = (prefix) => `#/folder/${escaped(prefix)}`;

/** The address of an object's details. @param {string} key */
export const objectHash = (key) => `#/object/${escaped(key)}`;

/** The folder that a key is in. @param {string} key */
export function folderOf(key) {
  return key.slice(0, key.lastIndexOf("/", key.length - 2) + 1);
}

/** The last part of a key. @param {string} key */
export function baseOf(key) {
  return key.slice(folderOf(key).length);
}

/**
 * @param {string} hash
 * @returns {{ view: "folder" | "health" | "log", prefix: string, key: string | null }}
 */
export function route(hash) {
  const [, view = "", rest = ""] = /^#?\/([a-z]*)\/?(.*)$/su.exec(hash) ?? [];
  if (view === "health" || view === "log") return { view, prefix: "", key: null };
  const path = unescaped(rest);
  if (view === "object" && path) return { view: "folder", prefix: folderOf(path), key: path };
  return { view: "folder", prefix: view === "folder" && path && !path.endsWith("/") ? `${path}/` : view === "folder" ? path : "", key: null };
}
