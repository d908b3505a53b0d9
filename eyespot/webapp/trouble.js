// Why there is no answer.

export class Trouble extends Error {
  /** The name of a sentence in words.js, and what it is to name. */
  constructor(name, values = {}) {
    super(values.detail ?? name);
    Object.assign(this, { name, values });
  }
}
