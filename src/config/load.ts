import { readFileSync } from 'node:fs'
import { sha256 } from '../lib/crypto.ts'
import { Secret } from '../lib/secret.ts'
import type { Config } from './model.ts'
import { compileConfig } from './compile.ts'
import { parseLongDocument } from './long-document.ts'
import { type Environment, readEnvironment } from './environment.ts'
import { foreignFormat } from './format.ts'
import { isTree, mergeInput, type ReadFile, readPath, systemReason } from './input.ts'
import {
  formatIssue,
  type ConfigIssue,
  formatPath,
  formatSource,
  type Path,
  type Report,
  type Source,
  sortIssues,
} from './issues.ts'
import { globalKeys, isSecret, providerKeys } from './keys.ts'
import type { ReadBytes } from './recorded.ts'
import { routeSchema } from './schema/route.ts'
import { findSlips } from './slips.ts'
import { decodeText, NotText } from './text.ts'
import { validate } from './validate.ts'

export { formatIssue, formatIssues } from './issues.ts'

export type Loaded = Judged & {
  /** Every file that was asked for, and what was read in it: what to watch. */
  readonly files: ReadFiles
}

/** Path → SHA-256 of the bytes; undefined: it could not be read, or two readings differed. */
export type ReadFiles = ReadonlyMap<string, string | undefined>

export type Judged =
  | {
      readonly kind: 'ok'
      /** Frozen. */
      readonly config: Config
      readonly warnings: readonly ConfigIssue[]
      /** What is in force and who said so, for people. */
      readonly settings: () => readonly Setting[]
    }
  /** Errors, then warnings; all of them. */
  | { readonly kind: 'invalid'; readonly issues: readonly ConfigIssue[] }

const defaults = new Map(globalKeys.map((key) => [formatPath(key.path), key.default]))

/** One effective value as it was written: of routes each key that is there, of the rest every key. */
export interface Setting {
  readonly path: Path
  readonly value: unknown
  readonly source: Source
}

/**
 * Reads, merges and judges the configuration: file, then environment, which wins. The only reader of
 * `process.env` and of the files that keys name. Never rejects for what a person wrote.
 * @param readBytes throws like `readFileSync`; what was read before (`replay`), or reads and remembers (`record`).
 */
export async function loadConfig(
  file: string | undefined,
  env: Environment = process.env,
  readBytes: ReadBytes = readFileSync,
): Promise<Loaded> {
  const files = new Map<string, string | undefined>()
  const readFile: ReadFile = (path) => {
    const seen = files.has(path)
    const before = files.get(path)
    files.set(path, undefined)
    const bytes = readBytes(path)
    const hash = sha256(bytes)
    if (!seen || before === hash) files.set(path, hash)
    return decodeText(bytes)
  }
  let text: string | undefined
  try {
    text = file === undefined ? undefined : readFile(file)
  } catch (error) {
    const message = `cannot read the configuration: ${systemReason(error)}`
    const at = error instanceof NotText ? error.at : undefined
    const source = { kind: 'file', file: file ?? '', ...(at && { at }) } as const
    return { kind: 'invalid', issues: [{ severity: 'error', source, path: [], message }], files }
  }
  const judged = parseConfig(text, file ?? 'environment', env, readFile)
  if (judged.kind === 'ok' || file !== undefined || env['AUTHENTICATE_SERVICE_URL'] !== undefined)
    return { ...judged, files }
  // Otherwise all that is missing is named, and not why.
  const message = 'no configuration file was named, so the environment alone was read; write --config FILE'
  const forgotten: ConfigIssue = { severity: 'error', source: { kind: 'default' }, path: [], message }
  return { kind: 'invalid', issues: [forgotten, ...judged.issues], files }
}

/** The same without I/O, and without `files`: `text` is the YAML (undefined: environment only), `fileName` its name in messages. */
export function parseConfig(text: string | undefined, fileName: string, env: Environment, readFile: ReadFile): Judged {
  const document = text === undefined ? undefined : parseLongDocument(text, fileName)
  const foreign = document && foreignFormat(text ?? '', document.value)
  if (foreign !== undefined) {
    const source = { kind: 'file', file: fileName } as const
    return { kind: 'invalid', issues: [{ severity: 'error', source, path: [], message: foreign }] }
  }
  const environment = readEnvironment(env)
  const documents = [document, ...environment.values.map((value) => value.document)].filter(
    (each) => each !== undefined,
  )
  const input = mergeInput(document, environment.values, readFile)
  const draft = validate(input)
  const issues: ConfigIssue[] = [
    ...documents.flatMap((each) => each.issues),
    ...findSlips(text ?? '').map(
      ({ at, message }): ConfigIssue => ({
        severity: 'warning',
        source: { kind: 'file', file: fileName, at },
        path: [],
        message,
      }),
    ),
    ...environment.issues,
    ...input.issues,
    ...draft.issues,
  ]
  const notAMap = document && document.value !== null && document.value !== undefined && !isTree(document.value)
  if (notAMap) {
    issues.push({
      severity: 'error',
      source: document.valueAt([]),
      path: [],
      message: 'expected a map of keys, such as `routes:`',
    })
  }

  const say = (severity: ConfigIssue['severity'], path: Path, message: string): void => {
    if (!draft.isDoubtful(path)) issues.push({ severity, source: input.valueAt(path), path, message })
  }
  const report: Report = {
    error: (path, message) => say('error', path, message),
    warning: (path, message) => say('warning', path, message),
    where: (path) => formatSource(input.valueAt(path)),
    sourceOf: (path) => input.valueAt(path),
    isWritten: (path) => readPath(input.value, path) !== undefined,
  }
  // An unreadable text has said enough: everything in it would be "missing".
  const unreadable = notAMap || documents.some((each) => each.value === undefined)
  const config = unreadable ? undefined : compileConfig(draft, report)
  const sorted = sortIssues(issues)
  if (!config || sorted.some(({ severity }) => severity === 'error')) return { kind: 'invalid', issues: sorted }

  const settings = (): readonly Setting[] =>
    [
      ...globalKeys
        .filter(({ kind, path }) => kind !== 'routes' && path[0] !== 'identity_providers')
        .map(({ path }) => path),
      ...providerPaths(input.value['identity_providers']),
      ...draft.routes.flatMap(({ path }) => routeNames(readPath(input.value, path)).map((key) => [...path, key])),
    ].map((path): Setting => {
      const given = readPath(input.value, path)
      const written = given === '' ? undefined : given
      const value = written ?? defaults.get(formatPath(path))
      return {
        path,
        value: isSecret(path) && value !== undefined ? new Secret(JSON.stringify(value)) : value,
        source: written === undefined ? { kind: 'default' } : input.valueAt(path),
      }
    })
  const said = Object.freeze({ ...config, ...(sorted.length > 0 && { warnings: sorted.map(formatIssue) }) })
  return { kind: 'ok', config: said, warnings: sorted, settings }
}

/** What is written of each provider. */
function providerPaths(providers: unknown): readonly Path[] {
  if (!isTree(providers)) return []
  return Object.entries(providers).flatMap(([name, provider]) =>
    providerKeys
      .filter(({ path }) => readPath(provider, path) !== undefined)
      .map(({ path }) => ['identity_providers', name, ...path]),
  )
}

/** The keys of a route that are in force: not those that are ignored. */
function routeNames(route: unknown): readonly string[] {
  if (!isTree(route)) return []
  return Object.keys(route).filter((name) => Object.hasOwn(routeSchema.shape, name) && route[name] !== '')
}

/** `HEALTH_CHECK_ADDR` alone, as written: a probe must not depend on the rest of the configuration. */
export function healthCheckAddress(env?: Environment): string | undefined {
  return variable('HEALTH_CHECK_ADDR', env)
}

/** One variable, for commands that read no configuration; an empty one is none. */
export function variable(name: string, env: Environment = process.env): string | undefined {
  return env[name] || undefined
}
