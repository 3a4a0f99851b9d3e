/** @file The uploads of a page, on an element of its own: all of it is loaded when there is something to show. */
import { announce } from "./dom.js";
import { plural } from "./format.js";
import { filesOf } from "./upload-files.js";

/**
 * @typedef {object} Options
 * @property {import("./client.js").Client} client
 * @property {HTMLElement} element empty; hidden while there is no upload
 * @property {() => string} folder where files go that are added now: a prefix with its slash
 * @property {Record<string, string> | (() => Record<string, string>)} [headers] sent with every PUT too
 */

/** @param {Options} options */
export function createUploadPanel(options) {
  const { client, element, folder } = options;
  /** @type {Promise<import("./uploads.js").Uploads> | null} */
  let view = null;
  const open = () => {
    view ??= import("./upload-view.js").then(({ createUploadView }) => createUploadView(options));
    view.catch(() => { view = null; }); // without a network it cannot be loaded: the next time perhaps
    return view;
  };
  element.hidden = true;
  // What was left unfinished is shown at once; an API without the route, or none that answers, has nothing to show.
  const ready = client.uploads.list().then(({ uploads }) => (uploads.length ? open() : null)).catch(() => null);
  return {
    element,
    ready,
    open,
    /** @param {FileList | File[] | DataTransferItemList} list what was dropped or chosen, into the folder that is open now */
    async add(list) {
      const into = folder();
      const { found, unread } = await filesOf(list);
      if (unread.length) announce(`${plural(unread.length, "file")} could not be read: ${unread.slice(0, 3).join(", ")}`);
      if (!found.length) return announce("Nothing to upload: there is no file in it.");
      announce(`${plural(found.length, "file")} to upload.`);
      const uploads = await open().catch(() => null);
      if (uploads) return void (await uploads.add(found, into));
      element.hidden = false;
      element.textContent = "The uploads could not be loaded. Check the connection, then add the files again.";
    },
  };
}
