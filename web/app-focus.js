/** @file Who works by keyboard is not left nowhere when what had the focus is disabled, hidden or taken away. */

/** @param {Element} element */
const canHaveIt = (element) => element.isConnected && element.checkVisibility() && !element.matches(":disabled");

/** @param {() => HTMLElement} home where the focus goes when what had it is gone */
export function keepFocus(home) {
  /** @type {Element | null} what had it last; null when a click beside everything took it away */
  let last = null;
  let due = 0;
  const look = () => {
    due = 0;
    const now = document.activeElement;
    // A browser takes the focus from what was hidden only after this frame: what cannot have it any more has lost it already.
    if (!last || (now && now !== document.body && canHaveIt(now))) return;
    // A button that is disabled while it works comes back to itself.
    if (canHaveIt(last)) /** @type {HTMLElement} */ (last).focus({ preventScroll: true });
    else if (!last.isConnected || !last.checkVisibility()) home().focus({ preventScroll: true });
  };
  document.addEventListener("focusin", (event) => { last = /** @type {Element} */ (event.target); });
  document.addEventListener("pointerdown", () => { last = null; });
  document.addEventListener("click", () => { last = document.activeElement === document.body ? null : document.activeElement; });
  new MutationObserver(() => { due ||= requestAnimationFrame(look); })
    .observe(document.body, { subtree: true, childList: true, attributeFilter: ["hidden", "disabled", "class"] });
}
