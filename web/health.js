/** @file The health of the whole: one word, why, what to do; a map, the lag, what waits and what failed. */
import { h, replace } from "./dom.js";
import { verdictOf } from "./health-verdict.js";
import { drawPlaces, drawWaiting } from "./health-lists.js";
import { drawMap, viewerAt, whereIs } from "./map.js";
import { drawPlot } from "./plot.js";
import { LogList } from "./health-log.js";
import { inWords, problemBox } from "./problems.js";

/**
 * @typedef {import("./app.js").Context} Context
 * @typedef {object} Seen what was asked, or the error that came instead
 * @property {import("./api.d.ts").ReplicationHealth | null} whole
 * @property {import("./api.d.ts").Backend[]} backends
 * @property {Record<string, string>} states
 * @property {import("./api.d.ts").ReplicaStatus[]} failed
 * @property {import("./api.d.ts").ReplicaStatus[]} pending
 * @property {any} error
 */

const AGAIN_MS = 3000;
const LAG_AGAIN_MS = 15_000;
const HOURS = 24;

/** @param {string} title @param {string} [css] */
function section(title, css = "") {
  const body = h("div", { class: "body" });
  const element = h("section", { class: `card ${css}`, "aria-label": title }, h("h2", {}, title), body);
  return { element, body };
}

export class HealthPage {
  /** @param {Context} context */
  constructor(context) {
    this._context = context;
    this._shown = false;
    this._timer = 0;
    this._lagAt = 0;
    /** @type {Map<HTMLElement, string>} */
    this._drawn = new Map();
    this._verdict = h("div", { class: "verdict", role: "status" }, h("div", { class: "skeleton" }));
    this._parts = {
      map: section("Places", "map-card"), lag: section("How long copies take", "lag"), places: section("Each place"),
      waiting: section("Pending and failed"), log: section("What was done last"),
    };
    this._log = new LogList(context, 12);
    replace(this._parts.log.body, this._log.element, h("p", {}, h("a", { href: "#/log" }, "The whole log")));
    const { map, lag, places, waiting, log } = this._parts;
    this.element = h("div", { class: "page health" }, h("h1", { class: "unseen" }, "Health"), this._verdict,
      h("div", { class: "cards" }, h("div", {}, map.element, lag.element), h("div", {}, places.element, waiting.element, log.element)));
    document.addEventListener("visibilitychange", () => { if (this._shown && !document.hidden) this._soon(0); });
    document.addEventListener("nearside:online", () => this._soon(0));
    document.addEventListener("nearside:world", () => this._soon(0));
  }

  show() {
    document.title = `Health – ${this._context.config.name}`;
    this._shown = true;
    this._log.start();
    this._soon(0);
  }

  hide() {
    this._shown = false;
    this._log.stop();
    clearTimeout(this._timer);
  }

  /** @param {number} ms */
  _soon(ms) {
    clearTimeout(this._timer);
    if (this._shown) this._timer = setTimeout(() => this._round(), ms);
  }

  async _round() {
    if (this._busy || document.hidden) return this._soon(AGAIN_MS);
    this._busy = true;
    try {
      const seen = await this._ask();
      if (this._shown) this._draw(seen);
      if (Date.now() - this._lagAt > LAG_AGAIN_MS) await this._drawLag();
    } finally {
      this._busy = false;
      this._soon(AGAIN_MS);
    }
  }

  /** @returns {Promise<Seen>} */
  async _ask() {
    const { client } = this._context;
    const [whole, backends, health, failed, pending] = await Promise.allSettled([
      client.replicationHealth(), client.backends(), client.health(),
      client.replicas({ state: "FAILED", limit: 50 }), client.replicas({ state: "PENDING", limit: 50 }),
    ]);
    /** @template T @param {PromiseSettledResult<T>} each @param {T | null} otherwise */
    const had = (each, otherwise) => (each.status === "fulfilled" ? each.value : otherwise);
    return {
      whole: had(whole, null), backends: had(backends, null)?.backends ?? [], states: had(health, null)?.places ?? {},
      failed: had(failed, null)?.replicas ?? [], pending: had(pending, null)?.replicas ?? [],
      error: [whole, health, failed, pending].find((each) => each.status === "rejected")?.reason ?? null,
    };
  }

  /** Draws when something changed, and never takes away what has the focus. @param {HTMLElement} element @param {any} from @param {() => void} draw */
  _redraw(element, from, draw) {
    const now = JSON.stringify(from);
    if (this._drawn.get(element) === now || (this._drawn.has(element) && element.contains(document.activeElement))) return;
    this._drawn.set(element, now);
    draw();
  }

  /** @param {Seen} seen */
  _draw(seen) {
    const { whole, backends, states, failed, pending, error } = seen;
    const { map, places, waiting } = this._parts;
    const viewer = this._context.headers()["x-world-location"] ?? "";
    const said = verdictOf(whole, states, error);
    this._redraw(this._verdict, said, () => drawVerdict(this._verdict, said, this._context));
    const spots = spotsOf(seen);
    this._redraw(map.body, [spots, whole?.rules, viewer, map.body.clientWidth], () => {
      const at = viewerAt(viewer);
      drawMap(map.body, { spots, ways: waysOf(seen), viewer: at && { name: viewer, at } });
      map.body.append(keyOf(spots, at ? viewer : ""));
    });
    this._redraw(places.body, [whole?.places.map(({ oldest_pending_seconds: _, ...rest }) => rest), backends, states], () => drawPlaces(places.body, whole, backends, states));
    this._redraw(waiting.body, [failed, pending, error?.status], () => drawWaiting(waiting.body, this._context, failed, pending, error, () => this._soon(0)));
  }

  async _drawLag() {
    const { body } = this._parts.lag;
    this._lagAt = Date.now();
    try {
      const lag = await this._context.client.replicationLag(HOURS);
      if (!body.contains(document.activeElement)) drawPlot(body, lag, HOURS);
    } catch (error) {
      const { status } = /** @type {any} */ (error);
      if (status === 404) replace(body, h("p", { class: "quiet" }, "This API does not tell how long copies took."));
      else replace(body, problemBox(error));
    }
  }
}

/** @param {HTMLElement} element @param {import("./health-verdict.js").Said} said @param {Context} context */
function drawVerdict(element, said, context) {
  const reasons = said.reasons.map((reason) => h("li", { class: reason.shade }, h("p", {}, reason.what), reason.fix && h("p", { class: "fix" }, h("b", {}, "What to do: "), reason.fix)));
  replace(element, h("div", { class: `word ${said.shade}` }, h("strong", {}, said.word), h("p", {}, said.summary)),
    reasons.length ? h("ul", { class: "reasons" }, reasons) : null,
    said.unknown.length ? h("details", { class: "unknown" }, h("summary", {}, `Not known (${said.unknown.length})`), h("ul", {}, said.unknown.map((words) => h("li", {}, words)))) : null,
    said.error ? h("p", { class: "quiet" }, `${inWords(said.error).title} It is asked again every few seconds at ${context.config.api || location.origin}.`) : null);
}

/** @param {Seen} seen @returns {import("./map.js").Spot[]} */
function spotsOf({ backends, states, whole }) {
  return backends.flatMap((each) => {
    const at = whereIs(each);
    if (!at) return [];
    const state = each.gateway ? states[`gateway/${each.name}`] ?? each.state : states[each.name] ?? each.state;
    const work = each.gateway ? undefined : whole?.places.find((place) => place.name === each.name);
    const words = [state, work?.failed ? `${work.failed} failed` : "", work?.pending ? `${work.pending} pending` : ""].filter(Boolean).join(", ");
    const shade = state === "disabled" ? "unknown" : state !== "up" || work?.failed ? "bad" : work?.pending ? "waiting" : "good";
    const twin = each.gateway && backends.some((other) => !other.gateway && other.name === each.name);
    return [{ name: each.name, label: twin ? `${each.name} (${each.provider})` : each.name, title: `${each.gateway ? "place of the gateway, " : ""}${words}`, shade, at, gateway: Boolean(each.gateway) }];
  });
}

/** @param {Seen} seen @returns {import("./map.js").Way[]} */
function waysOf({ whole, states }) {
  return (whole?.rules ?? []).map((rule) => {
    const work = whole?.places.find((place) => place.name === rule.destination);
    const down = [rule.source, rule.destination].filter((name) => states[name] && states[name] !== "up");
    const [shade, words] = /** @type {[import("./map.js").Shade, string]} */ (
      down.length ? ["bad", `${down.join(" and ")} does not answer`]
        : !rule.rule ? ["bad", "no rule"]
          : rule.enabled === false ? ["bad", "the rule is disabled"]
            : work?.failed ? ["bad", `${work.failed} failed`]
              : work?.pending ? ["waiting", `${work.pending} on the way`] : ["good", "replicates"]);
    return { from: rule.source, to: rule.destination, shade, title: `${rule.source} to ${rule.destination}: ${words}` };
  });
}

/** What the drawing's shapes mean. @param {import("./map.js").Spot[]} spots @param {string} viewer */
function keyOf(spots, viewer) {
  const gateway = spots.some((spot) => spot.gateway);
  return h("ul", { class: "legend" },
    h("li", {}, h("span", { class: "swatch round good" }), "well"), h("li", {}, h("span", { class: "swatch round waiting" }), "on the way"),
    h("li", {}, h("span", { class: "swatch round bad" }), "failed or down"), gateway ? h("li", {}, h("span", { class: "swatch square" }), "place of the gateway") : null,
    viewer ? h("li", {}, h("span", { class: "swatch you" }), `you (${viewer})`) : null);
}
