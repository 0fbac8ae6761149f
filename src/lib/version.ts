import { readFileSync } from 'node:fs'

/** Of package.json, which lies beside `src/` and, compiled, two folders above it. */
export const VERSION: string = readVersion()

function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const { version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version?: unknown }
      if (typeof version === 'string') return version
    } catch {
      // Sources and compiled output lie at different depths.
    }
  }
  return 'unknown'
}
