/** Who else on this machine can read the secrets, and may we write where we must? */
import { accessSync, constants, existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { isSecret } from '../../../src/config/keys.ts'
import type { Setting } from '../../../src/config/load.ts'
import type { Config } from '../../../src/config/model.ts'
import type { Finding } from '../finding.ts'

/** `file`: of the configuration. `read`: every file that was read for it. */
export function checkFiles(
  file: string | undefined,
  read: ReadonlySet<string>,
  settings: readonly Setting[],
): readonly Finding[] {
  const sources = new Map(settings.map(({ path, source }) => [JSON.stringify(path), source]))
  const written = settings.filter((setting) => !isReadFromFile(setting, sources))
  const secret = written.flatMap((setting) => filesOfSecret(file, read, setting))
  return [...new Set([...secret, ...[...read].filter(hasPrivateKey)])].flatMap((path) => {
    if (!everybodyReads(path)) return []
    const message = 'holds secrets, and every user of this machine can read it'
    return [{ check: `file ${path}`, status: 'warn', message, remedy: `chmod o-r ${path}` }]
  })
}

/** Whoever may not pass through a folder above it does not come to the file. */
function everybodyReads(path: string): boolean {
  if (!existsSync(path)) return false
  const file = realpathSync(path)
  if ((statSync(file).mode & 0o004) === 0) return false
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

/** What `…_file` brought stands where that key was written, and is not in that file. `sources`: by the path as JSON. */
function isReadFromFile({ path, source }: Setting, sources: ReadonlyMap<string, Setting['source']>): boolean {
  const fileKey = [...path.slice(0, -1), `${String(path.at(-1))}_file`]
  return isDeepStrictEqual(sources.get(JSON.stringify(fileKey)), source)
}

/** Keys whose values are as secret as their files' names: everybody may have a certificate. */
const PUBLIC = /(?:certificates?|authority|_ca|_cert|^ca|^crl)$/

/** The files that hold this value, when it is a secret. */
function filesOfSecret(
  file: string | undefined,
  read: ReadonlySet<string>,
  { path, value, source }: Setting,
): readonly string[] {
  if (value === undefined) return []
  const last = String(path.at(-1))
  const isFile = last.endsWith('_file')
  const key = isFile ? last.slice(0, -'_file'.length) : last
  if (PUBLIC.test(key) || !isSecret([...path.slice(0, -1), key])) return []
  if (isFile) return typeof value === 'string' ? readAs(value, file, read) : []
  return source.kind === 'file' && source.file === file ? [file] : []
}

/** Keys of `certificates` are files or texts, and nobody says which any more. */
function hasPrivateKey(path: string): boolean {
  try {
    return readFileSync(path, 'latin1').includes(' PRIVATE KEY-----')
  } catch {
    // It was there a moment ago; whoever reads it next will say so.
    return false
  }
}

/** Under the name that it was read by. */
function readAs(name: string, file: string | undefined, read: ReadonlySet<string>): readonly string[] {
  return [name, join(dirname(file ?? ''), name), resolve(dirname(file ?? ''), name)]
    .filter((each) => read.has(each))
    .slice(0, 1)
}

/** Of the embedded store; one that is not there yet is made with the folders above it. */
export function checkStoreFolder({ fixed: { storage } }: Config): readonly Finding[] {
  if (storage.kind !== 'embedded') return []
  const path = resolve(storage.path)
  const check = `store ${path}`
  try {
    let folder = path
    while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder)
    if (!statSync(folder).isDirectory()) throw new Error(`${folder} is no folder`)
    accessSync(folder, constants.W_OK | constants.X_OK)
    return []
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : (error as Error).message
    const message = `cannot be written by this user: ${reason}`
    return [{ check, status: 'fail', message, remedy: 'give it to the user of Postern, or write another storage.path' }]
  }
}
