/** @file Copying a link that works for a while. */
import { openDialog } from "./actions-dialog.js";
import { presignAll } from "./actions-objects.js";
import { announce, h, replace } from "./dom.js";
import { baseOf, moment, plural, visible } from "./format.js";
import { problemBox } from "./problems.js";

/** @type {[number, string][]} */
const LIFETIMES = [
  [300, "5 minutes"], [900, "15 minutes"], [3600, "1 hour"], [43_200, "12 hours"], [86_400, "1 day"], [259_200, "3 days"], [604_800, "7 days"],
];
const MOST_LINKS = 200;

/** @param {string} text @param {HTMLTextAreaElement} box */
async function copy(text, box) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // not allowed, or no secure address: the text is selected, so that a key does it
    box.focus();
    box.select();
    return false;
  }
}

/** What the links say of themselves. @param {any[]} good @param {number} seconds @param {number} askedAt */
function about(good, seconds, askedAt) {
  const ends = good.map((item) => Date.parse(item.expires_at));
  const end = Math.min(...ends);
  // The seconds that signing took are no shortening.
  const short = end < askedAt + seconds * 1000 - 5000;
  const one = good.length === 1 ? good[0] : null;
  return [
    h("p", {}, "Works until ", h("strong", {}, moment(end, "full")), short ? ": shorter than asked, as the session that signs it ends then." : "."),
    one && h("p", { class: "quiet" }, one.route === "mrap" ? "Leads to the nearest region" : `Leads to ${one.route}`, `: ${one.reason}.`),
  ];
}

/** @param {import("./app.js").Context} context @param {{ key: string, version_id?: string }[]} wanted */
export function openLinks(context, wanted) {
  const items = wanted.slice(0, MOST_LINKS);
  const select = /** @type {HTMLSelectElement} */ (h("select", { id: "lifetime" },
    LIFETIMES.map(([seconds, words]) => h("option", { value: seconds, selected: seconds === 3600 }, words))));
  const box = /** @type {HTMLTextAreaElement} */ (h("textarea", { readonly: true, rows: Math.min(8, items.length + 2), "aria-label": "Links", spellcheck: "false" }));
  const said = h("div", { class: "said" });
  const button = /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "main" }, "Copy"));
  const sign = async () => {
    button.disabled = true;
    const seconds = Number(select.value);
    const askedAt = Date.now();
    try {
      const signed = await presignAll(context, items.map((item) => ({ ...item, expires_in: seconds })));
      if (Number(select.value) !== seconds) return; // another lifetime was chosen meanwhile
      const good = signed.filter((item) => !item.error);
      const bad = signed.length - good.length;
      box.value = good.map((item) => item.url).join("\n");
      replace(said, good.length ? about(good, seconds, askedAt) : null,
        bad ? h("p", {}, `${plural(bad, "object")} without a link: ${signed.find((item) => item.error).message}`) : null);
      button.disabled = good.length === 0;
    } catch (error) {
      replace(said, problemBox(error, sign));
    }
  };
  select.addEventListener("change", sign);
  button.addEventListener("click", async () => {
    const done = await copy(box.value, box);
    button.textContent = done ? "Copied" : "Press Ctrl-C";
    announce(done ? "Copied" : "The link is selected: press Control C");
    setTimeout(() => { button.textContent = "Copy"; }, 2500);
  });
  const title = items.length === 1 ? `Link to ${visible(baseOf(items[0].key))}` : `${plural(items.length, "link")}`;
  openDialog(title, () => [
    h("p", { class: "field" }, h("label", { for: "lifetime" }, "Whoever has it may read, for "), select),
    box, said,
    wanted.length > MOST_LINKS ? h("p", {}, `Only the first ${MOST_LINKS}: choose fewer for the rest.`) : null,
    h("div", { class: "buttons" }, button),
  ]);
  void sign();
  button.focus();
}
