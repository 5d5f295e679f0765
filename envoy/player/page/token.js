// The viewer's token: asked for, and renewed in time.

/** How long before its end a token is renewed; one that lives shortly, at half of its life. */
const MARGIN = 10; // seconds
const RETRY_AFTER = 1; // seconds

export class Token {
  #state;
  #timer;
  /** What license requests carry now. */
  current = "";

  /** `state` is what kind of token to ask for. */
  constructor(state) {
    this.#state = state;
  }

  /** Gets a new token. Throws where the token service gives none; the old one then stays. */
  async renew() {
    const response = await fetch(`/token?state=${encodeURIComponent(this.#state)}`, { method: "POST" });
    const { token, expires_in: lifetime, error } = await response.json();
    if (!response.ok) throw new Error(error);
    this.current = token;
    return lifetime;
  }

  /** Renews from now on before each end, and tries again while that fails. `onRenewal(error)` hears of each attempt. */
  keep(lifetime, onRenewal) {
    const next = Math.max(lifetime - MARGIN, lifetime / 2);
    this.#timer = setTimeout(async () => {
      const renewed = await this.renew().then((lifetime) => ({ lifetime }), (error) => ({ error }));
      if (this.#timer === undefined) return;
      onRenewal(renewed.error);
      this.keep(renewed.lifetime ?? 2 * RETRY_AFTER, onRenewal);
    }, next * 1000);
  }

  /** No more renewals. */
  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
