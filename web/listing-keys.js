/** @file The listing by keyboard: arrows, ends, pages, typing a name, choosing, opening, deleting. */

/**
 * @typedef {object} Moves what the keys need of the grid
 * @property {() => import("./listing.js").Entry[]} shown
 * @property {() => number} active
 * @property {(index: number) => void} setActive
 * @property {() => number} pageRows
 * @property {import("./listing-selection.js").Selection} selection
 * @property {(entry: import("./listing.js").Entry) => void} open
 * @property {() => void} remove
 * @property {() => void} escape
 * @property {() => void} up
 * @property {() => void} find
 * @property {() => void} aside into the details, when they are open
 */

const TYPING_MS = 800;

/** @param {KeyboardEvent} event @param {number} at @param {number} count @param {number} page @returns {number | null} */
function target(event, at, count, page) {
  switch (event.key) {
    case "ArrowDown": return Math.min(count - 1, at + 1);
    case "ArrowUp": return Math.max(0, at - 1);
    case "PageDown": return Math.min(count - 1, at + page);
    case "PageUp": return Math.max(0, at - page);
    case "Home": return 0;
    case "End": return count - 1;
    default: return null;
  }
}

class Keys {
  /** @param {Moves} moves */
  constructor(moves) {
    this._moves = moves;
    this._typed = "";
    this._typedAt = -TYPING_MS;
  }

  /** @param {KeyboardEvent} event */
  heard(event) {
    // A button or a box inside has its own keys.
    if (event.target !== event.currentTarget && [" ", "Enter"].includes(event.key)) return;
    const count = this._moves.shown().length;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const to = plain && count ? target(event, this._moves.active(), count, this._moves.pageRows()) : null;
    if (to !== null) this._move(event, to);
    else if (!this._act(event)) return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event @param {number} to */
  _move(event, to) {
    const { selection } = this._moves;
    if (event.shiftKey) {
      if (selection.size === 0) selection.anchor = this._moves.active();
      selection.range(this._moves.shown(), to);
    }
    this._moves.setActive(to);
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether the key was meant for the listing */
  _act(event) {
    const moves = this._moves;
    const shown = moves.shown();
    const at = moves.active();
    const typing = performance.now() - this._typedAt < TYPING_MS;
    if (event.key === "Escape") moves.escape();
    else if (event.key === "Backspace") moves.up();
    else if ((event.ctrlKey || event.metaKey) && event.key === "a") moves.selection.all(shown);
    else if (event.ctrlKey || event.metaKey || event.altKey) return false;
    else if (event.key === "/") moves.find();
    else if (event.key === "Delete") moves.remove();
    else if (!shown[at]) return false;
    else if (event.key === "Enter") moves.open(shown[at]);
    else if (event.key === "ArrowRight") moves.aside();
    else if (event.key === " " && !typing) event.shiftKey ? moves.selection.range(shown, at) : moves.selection.toggle(shown[at], at);
    else if ([...event.key].length === 1) this._type(event.key);
    else return false;
    return true;
  }

  /** @param {string} letter */
  _type(letter) {
    const now = performance.now();
    this._typed = now - this._typedAt > TYPING_MS ? letter : this._typed + letter;
    this._typedAt = now;
    const shown = this._moves.shown();
    const wanted = this._typed.toLowerCase();
    const same = [...wanted].every((each) => each === wanted[0]);
    // The same letter again goes on to the next name that begins with it, as lists of files do.
    const sought = same ? wanted[0] : wanted;
    const from = this._moves.active() + (sought.length === 1 ? 1 : 0);
    for (let step = 0; step < shown.length; step += 1) {
      const index = (from + step) % shown.length;
      if (shown[index].lower.startsWith(sought)) return this._moves.setActive(index);
    }
  }
}

/** The listener for `keydown`. @param {Moves} moves @returns {(event: KeyboardEvent) => void} */
export function listingKeys(moves) {
  const keys = new Keys(moves);
  return (event) => keys.heard(event);
}
