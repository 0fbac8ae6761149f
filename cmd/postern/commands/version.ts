import { readVersion } from '../../../src/lib/version.ts'
import type { Io } from '../io.ts'

/** Prints the version of the program. */
export function versionCommand({ json }: { readonly json: boolean }, io: Io): number {
  const version = readVersion()
  io.out(json ? JSON.stringify({ name: 'postern', version, node: process.version }) : `postern ${version}`)
  return 0
}
