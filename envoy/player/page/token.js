// The viewer's token: asked for, and renewed in time.

/** How long before its end a token is renewed; one that lives shortly, at half of its life. */
const MARGIN = 10; // seconds
const RETRY_AFTER = 1; // seconds

export class Token {
  /** What license requests carry now. */
  current = "";
  #choose;
  #onEarlyRenewal;
  #timer;
  #stopped = false;

  /**
   * `choose()` is what kind of token to ask for. With `onEarlyRenewal(error)` tokens are renewed before they end, and it hears of
   * each attempt.
   */
  constructor(choose, onEarlyRenewal) {
    this.#choose = choose;
    this.#onEarlyRenewal = onEarlyRenewal;
  }

  /** Gets a new token. Throws where the token service gives none; the old one then stays. */
  async renew() {
    const response = await fetch(`/token?state=${encodeURIComponent(this.#choose())}`, { method: "POST" });
    const { token, expires_in: lifetime, error } = await response.json();
    if (!response.ok) throw new Error(error);
    this.current = token;
    this.#renewIn(Math.max(lifetime - MARGIN, lifetime / 2));
  }

  /** No more renewals. */
  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #renewIn(seconds) {
    clearTimeout(this.#timer);
    if (!this.#onEarlyRenewal || this.#stopped) return;
    this.#timer = setTimeout(async () => {
      const error = await this.renew().then(() => undefined, (error) => error);
      if (this.#stopped) return;
      this.#onEarlyRenewal(error);
      if (error) this.#renewIn(RETRY_AFTER);
    }, seconds * 1000);
  }
}
