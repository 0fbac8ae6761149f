import { existsSync, readFileSync } from 'node:fs'

/** Version of the package that this file belongs to. Sources and build output lie at different depths below package.json. */
export function readVersion(folder = new URL('.', import.meta.url)): string {
  const file = new URL('package.json', folder)
  if (existsSync(file)) {
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown; version?: unknown }
    if (name === 'postern' && typeof version === 'string') return version
  }
  const parent = new URL('..', folder)
  return parent.href === folder.href ? 'unknown' : readVersion(parent)
}
