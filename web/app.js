/** @file The page: what it is made of, and which view the address asks for. */
import { keepFocus } from "./app-focus.js";
import { Network } from "./app-network.js";
import { themeButton } from "./app-theme.js";
import { createClient } from "./client.js";
import { h, replace, style } from "./dom.js";
import { route } from "./format.js";
import { problemBox } from "./problems.js";
import { createUploadPanel } from "./upload-panel.js";

/**
 * @typedef {{ api: string, auth: { mode: "none" | "jwt", issuer?: string, client_id?: string, scope?: string }, world: string | null, name: string }} Config
 * @typedef {object} Context what every part of the page may use
 * @property {Config} config
 * @property {import("./client.js").Client} client
 * @property {() => Record<string, string>} headers where the viewer pretends to be, in a local world
 * @property {() => Promise<string[]>} places the regions' places, the primary first
 * @property {() => Promise<boolean | null>} versioned whether every bucket keeps versions; null: not known
 * @property {(element: HTMLElement, folder: () => string) => { add: (files: any) => void }} uploadPanel
 */

const FRESH_MS = 60_000;

/** An answer is kept for a minute; a failure is not. @template T @param {() => Promise<T>} ask */
function remembered(ask) {
  let at = 0;
  /** @type {Promise<T> | null} */
  let answer = null;
  return () => {
    if (!answer || Date.now() - at > FRESH_MS) {
      at = Date.now();
      answer = ask();
      answer.catch(() => { answer = null; });
    }
    return answer;
  };
}

/** @param {Config} config @param {() => Promise<string | null>} token @returns {Context} */
function makeContext(config, token) {
  /** @type {Record<string, string>} */
  const headers = {};
  const network = new Network(find("banner"), config.api);
  const client = createClient({ api: config.api, token, headers: () => headers, fetch: network.fetch });
  const backends = remembered(async () => (await client.backends()).backends);
  const places = remembered(async () => (await client.health()).places);
  const health = remembered(() => client.replicationHealth());
  return {
    config, client,
    headers: () => headers,
    // Who may not see the backends may still see the names of the places.
    places: async () => {
      const known = await backends().catch(() => null);
      if (known) return known.filter((each) => !each.gateway).map((each) => each.name);
      return Object.keys(await places().catch(() => ({}))).filter((name) => !name.startsWith("gateway/"));
    },
    versioned: () => health().then((found) => found.places.every((each) => each.versioning === "enabled"), () => null),
    uploadPanel: (element, folder) => createUploadPanel({ client, element, folder, headers: () => headers }),
  };
}

/** @returns {HTMLElement} */
const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {Config} config @param {{ who: string | null, signOut: () => unknown }} who @param {HTMLElement | null} world */
function drawTop(config, who, world) {
  const links = { folder: h("a", { href: "#/folder/" }, "Files"), health: h("a", { href: "#/health" }, "Health"), log: h("a", { href: "#/log" }, "Log") };
  replace(find("top"),
    h("a", { class: "brand", href: "#/folder/" }, h("img", { src: "icon.svg", alt: "", width: 24, height: 24 }), h("span", {}, config.name)),
    h("nav", { "aria-label": "Views" }, Object.values(links)),
    h("span", { class: "grow" }),
    world,
    who.who ? h("span", { class: "who" }, who.who) : null,
    who.who ? h("button", { type: "button", class: "plain", onclick: () => who.signOut() }, "Sign out") : null,
    themeButton());
  return links;
}

/** @typedef {{ element: HTMLElement, show: (prefix: string, key: string | null) => void, hide?: () => void }} View */

/** Each view is loaded when it is first looked at. @type {Record<string, (context: Context) => Promise<View>>} */
const VIEWS = {
  folder: async (context) => new (await import("./listing-page.js")).ExplorerPage(context),
  health: async (context) => {
    const [{ HealthPage }] = await Promise.all([import("./health.js"), style("./health.css")]);
    return new HealthPage(context);
  },
  log: async (context) => {
    const [{ LogPage }] = await Promise.all([import("./health-log.js"), style("./health.css")]);
    return new LogPage(context);
  },
};

/** @param {Context} context @param {Record<string, HTMLElement>} links */
function navigate(context, links) {
  const main = find("main");
  /** @type {Map<string, Promise<View>>} */
  const made = new Map();
  /** @type {View | null} */
  let now = null;
  /** @param {string} view */
  const get = (view) => {
    const known = made.get(view) ?? VIEWS[view](context);
    made.set(view, known);
    known.catch(() => made.delete(view));
    return known;
  };
  const show = async () => {
    const { hash } = location;
    const { view, prefix, key } = route(hash);
    for (const [name, link] of Object.entries(links)) {
      if (name === view) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    }
    try {
      const next = await get(view);
      if (hash !== location.hash) return; // somewhere else meanwhile
      if (next !== now) {
        now?.hide?.();
        replace(main, next.element);
        now = next;
      }
      next.show(prefix, key);
    } catch (error) {
      now = null;
      replace(main, problemBox(error, show));
    }
  };
  addEventListener("hashchange", show);
  const home = () => /** @type {HTMLElement} */ ([...main.querySelectorAll(".grid")].find((grid) => grid.checkVisibility()) ?? main);
  keepFocus(home);
  find("skip").addEventListener("click", (event) => {
    event.preventDefault(); // its fragment is no view
    home().focus();
  });
  return show();
}

/** @param {Config} config */
async function session(config) {
  if (config.auth?.mode !== "jwt") return { token: async () => null, who: null, signOut: () => undefined };
  const { signIn } = await import("./signin.js");
  return signIn(/** @type {any} */ (config));
}

async function start() {
  const answer = await fetch("config.json", { cache: "no-cache" });
  if (!answer.ok) throw new Error(`config.json, which says where the API is, answered ${answer.status}.`);
  /** @type {Config} */
  const config = await answer.json();
  document.title = config.name;
  const who = await session(config);
  const context = makeContext(config, who.token);
  const world = config.world ? new (await import("./world.js")).World(context, find("world")) : null;
  await navigate(context, drawTop(config, who, world?.button ?? null));
}

start().catch((error) => {
  replace(find("main"), problemBox(error, () => location.reload()));
});
