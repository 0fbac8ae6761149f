import { existsSync, readFileSync } from 'node:fs'

/** Version of the package that this file belongs to. */
export function readVersion(): string {
  return findPackage()?.version ?? 'unknown'
}

/** Sources and build output lie at different depths below package.json. */
export function findPackage(
  folder = new URL('.', import.meta.url),
): { readonly root: URL; readonly version: string } | undefined {
  const file = new URL('package.json', folder)
  if (existsSync(file)) {
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown; version?: unknown }
    if (name === 'postern' && typeof version === 'string') return { root: folder, version }
  }
  const parent = new URL('..', folder)
  return parent.href === folder.href ? undefined : findPackage(parent)
}
