import { createRequire } from 'node:module'
import type * as Undici from 'undici'

/** Loaded with the first connection that is made with it: it would be a fifth of all that a start loads. */
export function undici(): typeof Undici {
  const require = createRequire(import.meta.url)
  return require('undici') as typeof Undici
}
