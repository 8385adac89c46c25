// How long a server may be silent while it sends something long.

/** Aborts once nothing has come for `limitMs`, as `AbortSignal.timeout` does. */
export class Patience {
  #limitMs;
  #silence;
  #timer;

  constructor(limitMs) {
    this.#limitMs = limitMs;
  }

  /** The AbortSignal of one more try. */
  begin() {
    this.#silence = new AbortController();
    this.#renew();
    return this.#silence.signal;
  }

  /** The pieces of a body, all of them. */
  async listen(body) {
    const [reader, pieces] = [body.getReader(), []];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return pieces;
      this.#renew();
      pieces.push(value);
    }
  }

  end() {
    clearTimeout(this.#timer);
  }

  #renew() {
    this.end();
    const reason = new DOMException("the server is silent", "TimeoutError");
    this.#timer = setTimeout(() => this.#silence.abort(reason), this.#limitMs);
  }
}
