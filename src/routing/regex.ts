import { RE2JS } from 're2js'
import { messageOf } from '../errors.ts'

/**
 * An RE2 pattern that must match the whole path. Linear in the length of the input whatever the
 * pattern is: no look-around, no back references.
 */
export function compileRegex(
  source: string,
): { readonly source: string; readonly test: (path: string) => boolean } | { readonly problem: string } {
  try {
    const pattern = RE2JS.compile(source)
    return { source, test: (path) => pattern.testExact(path) }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}
