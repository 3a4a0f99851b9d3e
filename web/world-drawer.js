/** @file The drawer of the local world's controls: what fails, how slow replication is, where the viewer pretends to be. */
import { announce, h, replace } from "./dom.js";
import { plural } from "./format.js";

/** @typedef {import("./app.js").Context} Context */

const AGAIN_MS = 1500;
/** @type {[string, string][]} */
const VIEWERS = [["", "where the world says"], ["eu", "Europe"], ["us", "America"], ["asia", "Asia"]];
const LAGS = [0, 1, 5, 20, 60];

/** @param {string} region */
function continent(region) {
  const names = { eu: "Europe", us: "America", ap: "Asia", ca: "Canada", sa: "South America", af: "Africa", me: "Middle East" };
  return names[/** @type {keyof names} */ (region.slice(0, 2))] ?? region;
}

export class WorldDrawer {
  /** @param {Context} context @param {HTMLElement} element @param {import("./world.js").World} world */
  constructor(context, element, world) {
    this._context = context;
    this._element = element;
    this._world = world;
    this._url = (context.config.world ?? "").replace(/\/$/u, "");
    this._drawn = "";
    this._said = h("p", { class: "problem", role: "alert", hidden: true });
    this._body = h("div", {});
    replace(element, h("div", { class: "bar-row" }, h("h2", {}, "The world"), h("button", { type: "button", class: "plain square", "aria-label": "Close the controls", onclick: () => world.toggle() }, "×")),
      this._said, this._body);
    element.addEventListener("keydown", (event) => { if (event.key === "Escape") world.toggle(); });
  }

  /** @param {string} path @param {Record<string, string> | null} [fields] a form, which needs no leave of another origin */
  async _call(path, fields = null) {
    try {
      const body = fields ? new URLSearchParams(fields) : undefined;
      const answer = await fetch(`${this._url}${path}`, { method: fields ? "POST" : "GET", body });
      const said = await answer.json();
      if (!answer.ok) throw new Error(said.message);
      this._said.hidden = true;
      return said;
    } catch (error) {
      this._said.textContent = `The world's controls do not answer: ${/** @type {Error} */ (error).message}. Is it still running?`;
      this._said.hidden = false;
      return null;
    }
  }

  /** Looks while the drawer is open. */
  async look() {
    clearTimeout(this._timer);
    if (this._element.hidden) return;
    if (!document.hidden) this._draw(await this._call("/state"));
    this._timer = setTimeout(() => this.look(), AGAIN_MS);
  }

  /** @param {string} path @param {Record<string, string>} fields @param {string} words */
  async _do(path, fields, words) {
    const state = await this._call(path, fields);
    if (!state) return;
    announce(words);
    this._drawn = "";
    this._draw(state.regions ? state : await this._call("/state"), true);
    document.dispatchEvent(new CustomEvent("nearside:world"));
  }

  /** @param {any} state @param {boolean} [mine] whether it answers what was just clicked */
  _draw(state, mine = false) {
    if (!state) return;
    const { regions, lag_seconds: lag, pending, gateway, location: where } = state;
    const now = JSON.stringify([regions.map((/** @type {any} */ each) => [each.condition, each.failed_to]), lag, gateway.providers, where, state.replication_faults]);
    if (this._count) this._count.textContent = `${plural(pending, "copy", "copies")} on the way.`;
    if (now === this._drawn) return;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    const name = this._body.contains(focused) ? focused?.dataset.control : null;
    if (name && !mine && focused?.tagName === "SELECT") return; // it may be open
    this._drawn = now;
    this._count = h("p", { class: "quiet" }, `${plural(pending, "copy", "copies")} on the way.`);
    replace(this._body, this._viewer(where), this._regions(regions), this._replication(lag, state), this._providers(gateway.providers),
      h("button", { type: "button", "data-control": "heal", onclick: () => this._do("/heal", {}, "Everything is well again") }, "Make everything well"));
    if (name) /** @type {HTMLElement | null} */ (this._body.querySelector(`[data-control="${name}"]`))?.focus();
  }

  /** @param {string} where */
  _viewer(where) {
    const now = this._context.headers()["x-world-location"] ?? "";
    return h("fieldset", {}, h("legend", {}, "I am in"), h("div", { class: "choices" }, VIEWERS.map(([value, words]) => h("label", {},
      h("input", { type: "radio", name: "viewer", value, checked: value === now, "data-control": `viewer-${value}`, onchange: () => {
        this._world.pretend(value);
        announce(`You pretend to be in ${words}`);
        document.dispatchEvent(new CustomEvent("nearside:world"));
      } }), value ? words : `${words} (${where})`))));
  }

  /** @param {any[]} regions */
  _regions(regions) {
    return h("fieldset", {}, h("legend", {}, "Regions"), regions.map((each) => h("label", { class: "switch" },
      h("input", { type: "checkbox", role: "switch", checked: each.condition.on, "data-control": `region-${each.name}`,
        onchange: (/** @type {Event} */ event) => {
          const on = /** @type {HTMLInputElement} */ (event.target).checked;
          void this._do(`/region/${each.name}`, { state: on ? "on" : "off" }, `${each.name} is ${on ? "on" : "off"}`);
        } }),
      h("span", {}, h("b", {}, continent(each.name)), ` ${each.name}`), h("span", { class: `chip ${each.condition.on ? "good" : "bad"}` }, each.condition.on ? "on" : "off"))));
  }

  /** @param {number} lag @param {any} state */
  _replication(lag, state) {
    const choices = LAGS.includes(lag) ? LAGS : [...LAGS, lag].sort((a, b) => a - b);
    const select = h("select", { "data-control": "lag", onchange: (/** @type {Event} */ event) => {
      const { value } = /** @type {HTMLSelectElement} */ (event.target);
      void this._do("/lag", { seconds: value }, `Replication takes ${value} seconds`);
    } }, choices.map((seconds) => h("option", { value: seconds, selected: seconds === lag }, `${seconds} s`)));
    const failing = state.replication_faults.length > 0;
    const target = state.regions[state.regions.length - 1].name;
    return h("fieldset", {}, h("legend", {}, "Replication"), h("label", { class: "pick" }, "takes ", select),
      h("label", { class: "switch" }, h("input", { type: "checkbox", role: "switch", checked: failing, "data-control": "failing", onchange: () => failing
        ? this._do("/mend-replication", {}, "Replication works again")
        : this._do(`/fail-replication/${target}`, { prefix: "" }, `Replication to ${target} fails`) }),
      h("span", {}, `fails to reach ${target}`)), this._count ?? null);
  }

  /** @param {any[]} providers */
  _providers(providers) {
    return h("fieldset", {}, h("legend", {}, "Providers of the gateway"), providers.map((each) => {
      const ill = Object.values(each.trouble).some(Boolean);
      return h("label", { class: "switch" }, h("input", { type: "checkbox", role: "switch", checked: !ill, "data-control": `provider-${each.name}`,
        onchange: () => this._do(`/provider/${each.name}/${ill ? "heal" : "down"}`, {}, `${each.name} is ${ill ? "well" : "down"}`) }),
      h("span", {}, h("b", {}, each.name), ` ${each.provider}`), h("span", { class: `chip ${ill ? "bad" : "good"}` }, ill ? "fails" : "well"));
    }));
  }
}
