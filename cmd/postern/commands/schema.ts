import { configJsonSchema } from '../../../src/config/schema.ts'
import type { Io } from '../io.ts'

/** Prints the JSON Schema (draft-07) for editors. */
export function schemaCommand(io: Io): number {
  io.out(JSON.stringify(configJsonSchema(), undefined, 2))
  return 0
}
