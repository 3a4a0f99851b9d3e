/** @file One upload as a row: its name, how far it is, what can be done, and at the end a dot for each place. */
import { h, replace } from "./dom.js";
import { baseOf, bytes, folderOf, moment, nameOf, objectHash } from "./format.js";
import { dotRow } from "./listing-dots.js";
import { inWords } from "./problems.js";
import { sent } from "./uploads.js";

/**
 * @typedef {import("./uploads.js").Upload} Upload
 * @typedef {import("./uploads.js").Uploads} Uploads
 * @typedef {import("./api.d.ts").Dot} Dot
 */

/** @param {number} part @param {number} whole */
export const percent = (part, whole) => (whole ? `${Math.floor((100 * part) / whole)} %` : "100 %");

/** What it is doing, in words. @param {Upload} upload @param {Dot[] | undefined} places */
function words(upload, places) {
  const { state, size, trouble, error } = upload;
  const far = `${percent(sent(upload), size)} of ${bytes(size)}`;
  switch (state) {
    case "waiting": return sent(upload) ? `Waiting at ${far}` : `Waiting, ${bytes(size)}`;
    case "asking": return upload.deciding ? "Looking whether it is there already…" : "There is an object of this name already.";
    case "sending": return trouble || far;
    case "finishing": return trouble || "Finishing…";
    case "paused": return error ? problem(error) : `Paused at ${far}`;
    case "failed": return problem(error);
    case "unfinished": return error ? problem(error) : `${far} is there. Choose the file again to go on.`;
    default: return arrived(places, size);
  }
}

/** @param {any} error */
function problem(error) {
  if (error?.name === "NotReadableError" || error?.name === "NotFoundError") return "The file cannot be read any more: it was changed, moved or deleted. Add it again.";
  const { title, todo } = inWords(error);
  return `${title} ${todo}`.trim();
}

/** @param {Dot[] | undefined} places @param {number} size */
function arrived(places, size) {
  if (!places) return `Uploaded, ${bytes(size)}`;
  const there = places.filter(({ state }) => state === "COMPLETED").length;
  return there === places.length ? `In all ${there} places, ${bytes(size)}` : `In ${there} of ${places.length} places, ${bytes(size)}`;
}

/** @param {Upload} upload @param {Uploads} uploads @param {Row} row @returns {[string, () => unknown][]} */
function actions(upload, uploads, row) {
  /** @type {[string, () => unknown]} */
  const cancel = ["Cancel", () => uploads.cancel(upload)];
  switch (upload.state) {
    case "asking": return upload.deciding ? [] : [
      ["Overwrite", () => uploads.decide(upload, "overwrite")],
      ["Keep both", () => uploads.decide(upload, "both")],
      ["Skip", () => uploads.decide(upload, "skip")],
    ];
    case "waiting": case "sending": return [["Pause", () => uploads.pause(upload)], cancel];
    case "paused": return [["Resume", () => uploads.resume(upload)], cancel];
    case "failed": return upload.file ? [["Try again", () => uploads.resume(upload)], cancel] : [cancel];
    case "unfinished": return [["Choose the file", () => row.choose()], ["Discard", () => uploads.cancel(upload)]];
    default: return [];
  }
}

export class Row {
  /** @param {Upload} upload @param {Uploads} uploads */
  constructor(upload, uploads) {
    this.upload = upload;
    this._uploads = uploads;
    this._shown = "";
    this._name = h("span", { class: "upload-name" });
    this._words = h("span", { class: "upload-words" });
    this._bar = /** @type {HTMLProgressElement} */ (h("progress", { class: "upload-bar", "aria-label": `Upload of ${baseOf(upload.key)}` }));
    this._buttons = h("span", { class: "upload-buttons" });
    this._dots = h("span", { class: "upload-dots" });
    this.element = h("li", { class: "upload", tabindex: "-1" }, this._name, this._dots, this._words, this._buttons, this._bar);
  }

  /** @param {Dot[] | undefined} places */
  show(places) {
    const { upload } = this;
    const text = words(upload, places);
    if (this._words.textContent !== text) this._words.textContent = text;
    this._bar.max = upload.size || 1;
    this._bar.value = upload.state === "done" || !upload.size ? this._bar.max : sent(upload);
    this._bar.hidden = upload.state === "done" || upload.state === "asking" || upload.state === "failed";
    if (places) replace(this._dots, dotRow(places));
    const shown = `${upload.state} ${upload.deciding} ${upload.key}`;
    if (shown !== this._shown) this._turned();
    this._shown = shown;
  }

  /** It is in another state: other buttons, and whoever was on one of them stays in the row. */
  _turned() {
    const { upload } = this;
    const within = this.element.contains(document.activeElement);
    this.element.className = `upload ${upload.state}`;
    const label = nameOf(baseOf(upload.key));
    const folder = folderOf(upload.key);
    replace(this._name,
      upload.state === "done" ? h("a", { href: objectHash(upload.key) }, label) : label,
      folder && h("span", { class: "upload-folder" }, " in ", nameOf(folder)),
      upload.state === "unfinished" && upload.begunAt && h("span", { class: "upload-folder" }, " begun ", moment(upload.begunAt)));
    replace(this._buttons, actions(upload, this._uploads, this).map(([name, act]) =>
      h("button", { type: "button", "aria-label": `${name}: ${baseOf(upload.key)}`, onclick: () => this._do(act) }, name)));
    if (within) (this._buttons.querySelector("button") ?? this.element).focus();
  }

  /** @param {() => unknown} act */
  async _do(act) {
    try {
      await act();
    } catch (error) {
      this._words.textContent = problem(error);
    }
  }

  /** Asks for the file of an unfinished upload. */
  choose() {
    const input = /** @type {HTMLInputElement} */ (h("input", { type: "file" }));
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      const refusal = file ? this._uploads.continueWith(this.upload, file) : "";
      if (refusal) this._words.textContent = refusal;
    });
    input.click();
  }
}
