/** @file Where one object is: each place with its state, how long it took, why not, and what to do. */
import { announce, h, replace } from "./dom.js";
import { duration, moment } from "./format.js";
import { dotShape, stateText } from "./listing-dots.js";
import { inWords } from "./problems.js";

/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("./api.d.ts").Copy} Copy */

/** What one place says in a line. @param {Copy} copy */
function line(copy) {
  if (copy.state === "COMPLETED") {
    if (copy.removed_at) return ["removed ", moment(copy.removed_at, "clock")];
    const took = copy.lag_ms ? `arrived after ${duration(copy.lag_ms)}` : copy.source ? "arrived" : "written here";
    return [took, copy.arrived_at ? [", ", moment(copy.arrived_at, "clock")] : null];
  }
  return [stateText(copy.state), copy.overdue ? ", overdue" : null];
}

/** @param {Copy} copy */
const mendable = (copy) => copy.state === "FAILED" || (copy.state === "PENDING" && copy.overdue === true);

/**
 * A button that repairs, and the words of what came of it.
 * @param {Context} context @param {{ key?: string, place?: string }} what @param {() => void} [after]
 */
export function repairButton(context, what, after) {
  const said = h("p", { class: "quiet", role: "status" });
  const button = /** @type {HTMLButtonElement} */ (h("button", { type: "button" }, "Repair"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.textContent = "Repairing…";
    try {
      const done = await context.client.repair(what);
      const words = [...done.replicas.map((each) => `${each.place}: ${each.outcome}${each.detail ? `. ${each.detail}` : ""}`),
        ...done.jobs.map((job) => job.detail)];
      said.textContent = `${words.slice(0, 3).join(" · ") || "Nothing is left to repair."}${done.more ? " More is left: repair again." : ""}`;
      if (what.key) document.dispatchEvent(new CustomEvent("nearside:changed", { detail: { keys: [what.key] } }));
      after?.();
    } catch (error) {
      const { title, todo } = inWords(error);
      said.textContent = `Not repaired: ${title} ${todo}`;
    }
    announce(said.textContent);
    button.disabled = false;
  });
  return { button, said };
}

/** @param {Context} context @param {string} key @param {Copy} copy @param {() => void} again */
function place(context, key, copy, again) {
  const news = copy.state !== "PENDING" || copy.overdue; // that it is on its way, and to wait, has been said
  const repair = mendable(copy) ? repairButton(context, { key, place: copy.place }, again) : null;
  return h("li", { class: copy.state.toLowerCase() },
    h("span", { class: "dots" }, dotShape(copy.state)),
    h("div", {},
      h("p", {}, h("strong", {}, copy.place), " ", h("span", { class: "quiet" }, line(copy)))),
    repair?.button,
    news && (copy.why || repair) ? h("div", { class: "more" }, copy.why && h("p", {}, sentence(copy.why), copy.reason ? ` S3's reason: ${copy.reason}.` : null),
      copy.fix && h("p", { class: "fix" }, h("b", {}, "What to do: "), sentence(copy.fix)),
      repair?.said) : null);
}

/** @param {string} text */
export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/u.test(text) ? "" : "."}`;

/**
 * @param {Context} context @param {HTMLElement} element
 * @param {import("./api.d.ts").ObjectReplication} found @param {() => void} again
 */
export function showWhere(context, element, found, again) {
  const newest = found.versions[0];
  if (!newest) return replace(element, h("p", { class: "quiet" }, "No version is known."));
  replace(element,
    newest.marker ? h("p", { class: "quiet" }, "It was deleted. How far the deletion has come:") : null,
    h("ul", { class: "where" }, newest.copies.map((copy) => place(context, found.key, copy, again))),
    found.unknown.length ? h("details", { class: "unknown" }, h("summary", {}, `Not known (${found.unknown.length})`), h("ul", {}, found.unknown.map((words) => h("li", {}, words)))) : null);
}
