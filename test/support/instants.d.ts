import type { clock } from '../../src/types.ts'

/** Tests write instants as numbers. What the program is built with (tsconfig.json) does not see this file. */
declare global {
  interface Number {
    readonly [clock]: never
  }
}
