/** @file The health view's lists: each place with its numbers, and what is pending or failed. */
import { repairButton, sentence } from "./details-where.js";
import { h, replace } from "./dom.js";
import { duration, moment, nameOf, objectHash, plural } from "./format.js";
import { dotShape } from "./listing-dots.js";
import { problemBox } from "./problems.js";

/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("./api.d.ts").ReplicaStatus} ReplicaStatus */

const SHOWN = 50;

/** @param {string} state */
function stateChip(state) {
  const known = state === "up" || state === "disabled";
  return [h("span", { class: `chip ${state === "up" ? "good" : known ? "" : "bad"}` }, known ? state : "down"), known ? null : h("div", { class: "quiet words" }, state)];
}

/**
 * @param {HTMLElement} element
 * @param {import("./api.d.ts").ReplicationHealth | null} whole
 * @param {import("./api.d.ts").Backend[]} backends
 * @param {Record<string, string>} states
 */
export function drawPlaces(element, whole, backends, states) {
  const number = (/** @type {number | null | undefined} */ value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));
  const rows = backends.map((each) => {
    const work = each.gateway ? undefined : whole?.places.find((place) => place.name === each.name);
    const state = states[each.gateway ? `gateway/${each.name}` : each.name] ?? each.state;
    return h("tr", {},
      h("th", { scope: "row" }, each.name, each.primary && !each.gateway ? h("span", { class: "chip" }, "primary") : null, each.gateway ? h("span", { class: "chip" }, each.provider || "gateway") : null,
        h("div", { class: "quiet" }, each.bucket)),
      h("td", {}, stateChip(state)), h("td", { class: "number" }, number(work?.pending)), h("td", { class: `number ${work?.failed ? "bad" : ""}` }, number(work?.failed)),
      h("td", { class: "number" }, work?.lag ? duration(work.lag.p50_ms) : "–"), h("td", { class: "number" }, work?.lag ? duration(work.lag.p99_ms) : "–"));
  });
  if (!rows.length) return replace(element, h("p", { class: "quiet" }, "Which places there are cannot be told now."));
  const heads = ["Place", "State", "Pending", "Failed", "Half in", "99 % in"];
  replace(element, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The places as a table" }, h("table", {},
    h("thead", {}, h("tr", {}, heads.map((words, index) => h("th", { scope: "col", class: index > 1 ? "number" : "" }, words)))), h("tbody", {}, rows))));
}

/** @param {Context} context @param {ReplicaStatus} each @param {() => void} again */
function waiting(context, each, again) {
  const mends = !each.bucket && (each.state === "FAILED" || each.overdue);
  const repair = mends ? repairButton(context, { key: each.key, place: each.place }, again) : null;
  const name = each.bucket ? h("span", {}, nameOf(`${each.bucket}/${each.key}`)) : h("a", { href: objectHash(each.key) }, nameOf(each.key));
  const why = h("div", { class: "why", hidden: true }, h("p", {}, sentence(each.why ?? "Nothing more is known of it here")), each.reason ? h("p", {}, `S3's reason: ${each.reason}.`) : null,
    each.fix ? h("p", { class: "fix" }, h("b", {}, "What to do: "), sentence(each.fix)) : null,
    each.bucket ? null : h("p", {}, h("a", { href: objectHash(each.key) }, "Every version in every place")));
  const explain = h("button", { type: "button", "aria-expanded": "false" }, "Explain");
  explain.addEventListener("click", () => { why.hidden = !why.hidden; explain.setAttribute("aria-expanded", String(!why.hidden)); });
  return h("li", { class: each.state.toLowerCase() }, h("span", { class: "dots" }, dotShape(each.state)),
    h("div", {}, h("p", {}, name), h("p", { class: "quiet" }, `${each.state === "FAILED" ? "failed to reach" : each.marker ? "to be removed from" : "on its way to"} ${each.place}, `, each.state === "FAILED" ? null : "due ", moment(each.due, "clock"),
      each.overdue ? ", overdue" : null, each.attempts ? `, tried ${plural(each.attempts, "time")}` : null)),
    h("div", { class: "buttons small" }, explain, repair?.button), h("div", { class: "more" }, why, repair?.said));
}

/**
 * @param {HTMLElement} element @param {Context} context
 * @param {ReplicaStatus[]} failed @param {ReplicaStatus[]} pending
 * @param {any} error @param {() => void} again
 */
export function drawWaiting(element, context, failed, pending, error, again) {
  if (!failed.length && !pending.length) {
    return replace(element, error ? problemBox(error, again) : h("p", { class: "quiet" }, "Nothing waits, and nothing failed."));
  }
  const all = failed.length ? repairButton(context, {}, again) : null;
  if (all) all.button.textContent = "Repair all that failed";
  replace(element,
    all ? h("div", { class: "buttons" }, all.button) : null, all?.said,
    h("ul", { class: "where waiting" }, [...failed, ...pending].slice(0, SHOWN).map((each) => waiting(context, each, again))),
    failed.length + pending.length >= SHOWN ? h("p", { class: "quiet" }, "There are more than are shown here.") : null);
}
