import { inspect } from 'node:util'

/** What a secret is now, for whoever is built once: a reload may replace it. A `Secret` is one that stays. */
export type CurrentSecret = Pick<Secret, 'reveal'>

export function currentSecret(read: () => Secret): CurrentSecret {
  return { reveal: () => read().reveal() }
}

/** A value that must not be printed. Redacts itself in strings, JSON, templates and inspections; `reveal()` is grep-able. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }
}
