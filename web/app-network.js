/** @file Whether there is a network and an API behind it: a banner while not, and word to the views when it is back. */
import { announce } from "./dom.js";

const AGAIN_MS = 3000;

export class Network {
  /** @param {HTMLElement} banner @param {string} api */
  constructor(banner, api) {
    this._banner = banner;
    this._api = api.replace(/\/$/u, "");
    this._away = false;
    addEventListener("offline", () => this._draw());
    addEventListener("online", () => { this._draw(); this._back(); });
    this._draw();
  }

  /** A `fetch` of the API that notices when nothing answers. @type {typeof globalThis.fetch} */
  fetch = async (input, how) => {
    try {
      const answer = await globalThis.fetch(input, how);
      if (this._away) this._back();
      return answer;
    } catch (error) {
      if (!how?.signal?.aborted) this._gone();
      throw error;
    }
  };

  _gone() {
    if (this._away) return;
    this._away = true;
    this._draw();
    this._later();
  }

  /** Tries again by itself. */
  _later() {
    setTimeout(async () => {
      if (!this._away) return;
      try {
        await globalThis.fetch(`${this._api}/`, { cache: "no-store" });
        this._back();
      } catch {
        this._later();
      }
    }, AGAIN_MS);
  }

  _back() {
    if (!navigator.onLine) return;
    this._away = false;
    this._draw();
    announce("The connection is back");
    document.dispatchEvent(new Event("nearside:online"));
  }

  _draw() {
    const words = !navigator.onLine ? "You are offline. What is here stays; the rest goes on when the network is back."
      : this._away ? "The API does not answer. It is tried again every few seconds." : "";
    this._banner.className = words ? "offline" : "";
    if (this._banner.textContent !== words) this._banner.textContent = words;
  }
}
