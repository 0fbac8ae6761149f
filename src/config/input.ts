import { dirname, isAbsolute, join } from 'node:path'
import { pemOf } from './compile/secrets.ts'
import type { ConfigDocument } from './document.ts'
import type { EnvironmentValue } from './environment.ts'
import { type ConfigIssue, formatPath, type Path, type Source } from './issues.ts'
import { globalKeys, providerKeys, routeKeys } from './keys.ts'
import { signInSecrets } from './sign-in-secrets.ts'
import { NotText } from './text.ts'

/** Reads a text file; throws like `readFileSync`. */
export type ReadFile = (path: string) => string

/** File and environment as one tree, before any judgement, and where each value of it comes from. */
export interface Input {
  readonly value: Readonly<Record<string, unknown>>
  valueAt(path: Path): Source
  keyAt(path: Path): Source
  readonly issues: readonly ConfigIssue[]
}

type Tree = Record<string, unknown>

const fileKeys = globalKeys.map(({ path }) => path).filter((path) => isFileKey(path.at(-1) ?? '', globalKeys))
const providerFileKeys = providerKeys
  .map(({ path }) => path)
  .filter((path) => isFileKey(path.at(-1) ?? '', providerKeys))
const routeFileNames = routeKeys.map(({ path }) => path[0] ?? '').filter((name) => isFileKey(name, routeKeys))

/** `certificate_file` is the file of `certificate`; a key of another meaning may end like it. */
export function isFileKey(name: string, among: readonly { readonly path: readonly string[] }[]): boolean {
  return name.endsWith('_file') && among.some(({ path }) => path.at(-1) === name.slice(0, -'_file'.length))
}

/** What the configuration file names is found beside it; what the environment names, in the working directory. */
function placed(path: string, source: Source): string {
  const isOfFile = source.kind === 'file' && !source.file.startsWith('environment ')
  return isOfFile && !isAbsolute(path) ? join(dirname(source.file), path) : path
}

/** The environment wins over the file, also by `KEY_FILE` over `key` and the other way round; then files are read. */
export function mergeInput(
  document: ConfigDocument | undefined,
  environment: readonly EnvironmentValue[],
  readFile: ReadFile,
): Input {
  const issues: ConfigIssue[] = []
  const sources = new Map<string, { readonly source: Source; readonly document?: ConfigDocument }>()
  const value: Tree = isTree(document?.value) ? document.value : {}

  function lookUp(path: Path, at: 'keyAt' | 'valueAt'): Source {
    for (let length = path.length; length > 0; length--) {
      const known = sources.get(formatPath(path.slice(0, length)))
      if (known?.document) return known.document[at](path.slice(length))
      if (known) return known.source
    }
    return document ? document[at](path) : { kind: 'default' }
  }

  for (const { key, name, value: given, document: own } of environment) {
    const parent = parentOf(value, key.path)
    if (!parent) continue
    const last = key.path.at(-1) ?? ''
    const sibling = isFileKey(last, globalKeys) ? last.slice(0, -'_file'.length) : `${last}_file`
    if (!sources.has(formatPath([...key.path.slice(0, -1), sibling]))) delete parent[sibling]
    parent[last] = given
    sources.set(formatPath(key.path), { source: { kind: 'environment', name }, ...(own && { document: own }) })
  }

  // The same file serves a proxy, which may not even be able to read these.
  const providers = value['identity_providers']
  const kept = new Set(
    value['services'] === 'proxy'
      ? signInSecrets(isTree(providers) ? Object.keys(providers) : []).map((path) => `${formatPath(path)}_file`)
      : [],
  )

  function readFiles(tree: Tree, prefix: Path, names: readonly string[]): void {
    for (const fileKey of names) {
      const key = fileKey.slice(0, -'_file'.length)
      const inline = tree[key]
      // A block of YAML (`|`) ends with a newline, too.
      if (typeof inline === 'string') tree[key] = inline.trimEnd()
      const path = tree[fileKey]
      if (typeof path !== 'string' || path === '' || kept.has(formatPath([...prefix, fileKey]))) continue
      if (tree[key] !== undefined) {
        const at = [...prefix, fileKey]
        const message = `${key} is set too; set one of them`
        issues.push({ severity: 'error', source: lookUp(at, 'valueAt'), path: at, message })
        continue
      }
      readFileOf(tree, [...prefix, fileKey], path, key)
    }
  }

  /** Puts what a file holds in its place; `at` names it. */
  function readFileOf(tree: Tree, at: Path, written: string, key = String(at.at(-1))): void {
    const source = lookUp(at, 'valueAt')
    const path = placed(written, source)
    const problem = (message: string): void => void issues.push({ severity: 'error', source, path: at, message })
    try {
      // Editors and `echo` end a file with a newline that is no part of a secret; nor is any other white space there.
      tree[key] = readFile(path).trimEnd()
      if (tree[key] === '') {
        problem(`the file ${path} is empty`)
        tree[key] = unreadable
      }
      sources.set(formatPath([...at.slice(0, -1), key]), { source })
    } catch (error) {
      problem(`cannot read ${path}: ${systemReason(error)}`)
      // Marks the key as given, so that nothing else complains that it is missing.
      tree[key] = unreadable
    }
  }

  for (const path of fileKeys) {
    const parent = parentOf(value, path, false)
    if (parent) readFiles(parent, path.slice(0, -1), [path.at(-1) ?? ''])
  }
  for (const [name, provider] of isTree(providers) ? Object.entries(providers) : []) {
    if (!isTree(provider)) continue
    for (const path of providerFileKeys) {
      const parent = parentOf(provider, path, false)
      if (parent) readFiles(parent, ['identity_providers', name, ...path.slice(0, -1)], [path.at(-1) ?? ''])
    }
  }
  const certificates = value['certificates']
  for (const [i, pair] of Array.isArray(certificates) ? certificates.entries() : []) {
    if (!isTree(pair)) continue
    for (const key of ['cert', 'key']) {
      const text = pair[key]
      if (typeof text === 'string' && namesFile(text)) readFileOf(pair, ['certificates', i, key], text)
    }
  }
  for (const list of ['policy', 'routes']) {
    const routes = value[list]
    if (!Array.isArray(routes)) continue
    for (const [i, route] of routes.entries()) {
      if (isTree(route)) readFiles(route, [list, i], routeFileNames)
    }
  }

  return { value, issues, valueAt: (path) => lookUp(path, 'valueAt'), keyAt: (path) => lookUp(path, 'keyAt') }
}

/** Not PEM, nor anything that may be meant as a key, which no message may quote. */
function namesFile(text: string): boolean {
  return (
    /^[^\n]{1,255}$/.test(text) && !/^[A-Za-z0-9+=_-][A-Za-z0-9+/=_-]{63,}$/.test(text) && pemOf(text) === undefined
  )
}

/** Stands for the content of a file that could not be read; that was said already. */
export const unreadable = Symbol('unreadable')

/** `no such file`; for `ReadFile` and for the configuration itself. */
export function systemReason(error: unknown): string {
  if (error instanceof NotText) return error.message
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'ENOENT':
      return 'no such file'
    case 'EACCES':
      return 'permission denied'
    case 'EISDIR':
      return 'it is a directory'
    default:
      return typeof code === 'string' ? code : 'unknown reason'
  }
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a path; undefined when there is none. */
export function readPath(tree: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, part) => {
    if (Array.isArray(value)) return value[Number(part)]
    return isTree(value) && Object.hasOwn(value, part) ? value[part] : undefined
  }, tree)
}

/** The map that holds the last part of `path`; undefined when something else stands in the way. */
function parentOf(tree: Tree, path: readonly string[], create = true): Tree | undefined {
  let parent = tree
  for (const part of path.slice(0, -1)) {
    if (parent[part] === undefined || parent[part] === null) {
      if (!create) return undefined
      parent[part] = {}
    }
    const next = parent[part]
    if (!isTree(next)) return undefined
    parent = next
  }
  return parent
}
