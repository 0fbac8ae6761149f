import { inspect } from 'node:util'

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
