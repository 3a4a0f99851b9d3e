/** @file A look into an object: image, text, JSON, video, audio, PDF. Nothing of it ever runs in this page. */
import { read } from "./actions-objects.js";
import { h, replace } from "./dom.js";
import { baseOf, bytes, visible } from "./format.js";
import { problemBox } from "./problems.js";

/** @typedef {import("./app.js").Context} Context */
/** @typedef {{ key: string, version_id?: string }} Wanted */
/** @typedef {"image" | "video" | "audio" | "pdf" | "json" | "text" | "none"} Kind */

const MOST_IMAGE = 25_000_000;
const MOST_JSON = 1_000_000;
const MOST_TEXT = 262_144;

/** @type {Record<string, Kind>} by the name, for what was stored without a useful type */
const BY_NAME = {
  png: "image", jpg: "image", jpeg: "image", gif: "image", webp: "image", avif: "image", svg: "image", bmp: "image", ico: "image",
  mp4: "video", webm: "video", m4v: "video", ogv: "video", mov: "video",
  mp3: "audio", wav: "audio", ogg: "audio", m4a: "audio", flac: "audio", opus: "audio",
  pdf: "pdf", json: "json", geojson: "json",
  txt: "text", md: "text", csv: "text", log: "text", xml: "text", html: "text", htm: "text", yaml: "text", yml: "text", toml: "text",
  ini: "text", js: "text", mjs: "text", ts: "text", py: "text", css: "text", sh: "text", sql: "text", tsv: "text", ndjson: "text",
};

/** @param {string} type @param {string} key @returns {Kind} */
export function kindOf(type, key) {
  const plain = type.split(";")[0].trim().toLowerCase();
  for (const kind of /** @type {const} */ (["image", "video", "audio"])) if (plain.startsWith(`${kind}/`)) return kind;
  if (plain === "application/pdf") return "pdf";
  if (plain === "application/json" || plain.endsWith("+json")) return "json";
  const byName = BY_NAME[/\.([a-z0-9]+)$/iu.exec(key)?.[1].toLowerCase() ?? ""];
  if (plain.startsWith("text/")) return byName === "json" ? "json" : "text";
  if (/^application\/(xml|javascript|x-ndjson|yaml|toml|x-sh|xhtml\+xml)$/u.test(plain)) return "text";
  return ["", "application/octet-stream", "binary/octet-stream"].includes(plain) ? byName ?? "none" : "none";
}

/** @param {Context} context @param {Wanted} wanted @param {AbortSignal} signal */
async function image(context, wanted, signal) {
  const { answer } = await read(context, wanted, signal);
  // As an <img> not even an SVG runs scripts or loads anything.
  const url = URL.createObjectURL(await answer.blob());
  signal.addEventListener("abort", () => URL.revokeObjectURL(url));
  const picture = h("img", { src: url, alt: `Preview of ${visible(baseOf(wanted.key))}` });
  return h("div", { class: "frame checkered" }, picture);
}

/** @param {"video" | "audio"} kind @param {Context} context @param {Wanted} wanted @param {AbortSignal} signal */
async function player(kind, context, wanted, signal) {
  const signed = await context.client.presign(wanted, { signal });
  const media = /** @type {HTMLMediaElement} */ (h(kind, {
    src: signed.url, controls: true, preload: "metadata", playsinline: true, "aria-label": `${kind === "video" ? "Video" : "Sound"} ${visible(baseOf(wanted.key))}`,
  }));
  const frame = h("div", { class: "frame" }, media);
  media.addEventListener("error", () => replace(frame, h("p", { class: "quiet" }, `This browser does not play it. Download it to play it elsewhere.`)));
  signal.addEventListener("abort", () => { media.removeAttribute("src"); media.load(); });
  return frame;
}

/** @param {Context} context @param {Wanted} wanted @param {AbortSignal} signal */
async function pdf(context, wanted, signal) {
  // The type is part of what is signed: whatever the bytes are, they are shown as a PDF or not at all, and at the
  // bucket's origin, never at this page's. A sandbox would forbid browsers' own viewers.
  const item = { ...wanted, response_content_type: "application/pdf", response_content_disposition: "inline" };
  const signed = await context.client.presign(item, { signal });
  return h("div", {},
    h("iframe", { class: "pdf", src: signed.url, title: `Preview of ${visible(baseOf(wanted.key))}`, referrerpolicy: "no-referrer" }),
    h("p", {}, h("a", { href: signed.url, target: "_blank", rel: "noopener noreferrer" }, "Open the PDF in a new tab")));
}

/** Direction marks that would show text in another order than it has. @param {string} text */
const unturned = (text) => text.replace(/[\u202a-\u202e\u2066-\u2069]/gu, (mark) => `‹U+${mark.charCodeAt(0).toString(16).toUpperCase()}›`);

/** @param {"json" | "text"} kind @param {Context} context @param {Wanted} wanted @param {number | null} size @param {AbortSignal} signal */
async function text(kind, context, wanted, size, signal) {
  if (size === 0) return h("p", { class: "quiet" }, "It is empty.");
  const whole = kind === "json" && size !== null && size <= MOST_JSON;
  const { answer } = await readSome(context, wanted, whole ? null : MOST_TEXT, signal);
  const got = new Uint8Array(await answer.arrayBuffer());
  const said = unturned(new TextDecoder().decode(got));
  if (got.subarray(0, 4096).includes(0)) return h("p", { class: "quiet" }, "It is no text, whatever its name says.");
  let shown = said;
  if (whole) {
    try { shown = unturned(JSON.stringify(JSON.parse(said), null, 2)); } catch { /* shown as it is */ }
  }
  const cut = size !== null && got.length < size ? `The first ${bytes(got.length)} of ${bytes(size)}.` : null;
  return h("div", {}, h("pre", { class: "text", tabindex: "0", "aria-label": "The text" }, shown), cut && h("p", { class: "quiet" }, cut));
}

/** @param {Context} context @param {Wanted} wanted @param {number | null} most @param {AbortSignal} signal */
async function readSome(context, wanted, most, signal) {
  if (most === null) return read(context, wanted, signal);
  const ranged = { ...context, headers: () => ({ ...context.headers(), range: `bytes=0-${most - 1}` }) };
  return read(ranged, wanted, signal);
}

/**
 * @param {Context} context @param {Wanted} wanted
 * @param {{ type: string, size: number | null }} about
 * @param {AbortSignal} signal
 * @returns {Promise<Node>}
 */
async function made(context, wanted, { type, size }, signal) {
  const kind = kindOf(type, wanted.key);
  switch (kind) {
    case "image":
      if (size !== null && size > MOST_IMAGE) return none(`At ${bytes(size)} it is too large for a preview.`);
      return image(context, wanted, signal);
    case "video": case "audio": return player(kind, context, wanted, signal);
    case "pdf": return pdf(context, wanted, signal);
    case "json": case "text": return text(kind, context, wanted, size, signal);
    default: return none(`No preview of ${type || "this type"}.`);
  }
}

/** @param {string} words */
const none = (words) => h("p", { class: "quiet nothing" }, words);

/**
 * Puts a preview into the element. Aborting the signal takes it back.
 * @param {Context} context @param {HTMLElement} element @param {Wanted} wanted
 * @param {{ type: string, size: number | null }} about @param {AbortSignal} signal
 */
export async function preview(context, element, wanted, about, signal) {
  try {
    const shown = await made(context, wanted, about, signal);
    if (signal.aborted) return;
    replace(element, shown);
    const picture = shown instanceof Element ? shown.querySelector("img") : null;
    picture?.addEventListener("error", () => replace(element, none("It is no image that this browser can show.")));
  } catch (error) {
    if (!signal.aborted) replace(element, problemBox(error, () => preview(context, element, wanted, about, signal)));
  }
}
