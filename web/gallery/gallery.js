/**
 * @file A frontend's own page: the pictures of one folder, each from the nearest place that has it.
 *
 * Copy client.js (and api.d.ts, for its types) beside your own code; all else here is what you would write yourself.
 * `?folder=photos/` shows another folder.
 */
import { createClient } from "../client.js";

const MOST = 1000; // of one batch
const PICTURES = /\.(avif|gif|jpe?g|png|svg|webp)$/i;

/** @param {string} text */
function say(text) {
  /** @type {HTMLElement} */ (document.getElementById("words")).textContent = text;
}

/** @param {string} name @param {string} url */
function picture(name, url) {
  const image = document.createElement("img");
  image.loading = "lazy";
  image.alt = name; // text, whatever is in it
  image.src = url;
  const link = document.createElement("a");
  link.href = url;
  link.append(image);
  const item = document.createElement("li");
  item.append(link);
  return item;
}

async function show() {
  const config = await (await fetch("../config.json")).json();
  // With `auth.mode` "jwt" a frontend gives its own: createClient({ api, token: async () => … }).
  const nearside = createClient({ api: config.api });
  const folder = new URLSearchParams(location.search).get("folder") ?? "images/";
  const { content } = await nearside.list(folder, { limit: MOST });
  const names = content.map(String).filter((name) => PICTURES.test(name));
  if (!names.length) return say(`There are no pictures in ${folder}.`);
  const { items } = await nearside.presign(names.map((name) => ({ key: `${folder}${name}` })));
  const found = items.flatMap((item, number) => ("url" in item ? [{ name: names[number], ...item }] : []));
  /** @type {HTMLElement} */ (document.getElementById("pictures")).replaceChildren(...found.map(({ name, url }) => picture(name, url)));
  const routes = [...new Set(found.map(({ route }) => (route === "mrap" ? "the nearest region" : route)))].join(" and ");
  say(found.length ? `${found.length} of ${names.length} pictures of ${folder}, from ${routes}.` : `No picture of ${folder} can be shown.`);
}

show().catch((error) => say(`The gallery cannot be shown: ${error.message}`));
