import { nearest } from '../policy/nearest.ts'
import { decodeBase64, environmentAliases } from './aliases.ts'
import { type ConfigDocument, parseConfigDocument } from './document.ts'
import type { ConfigIssue, Path } from './issues.ts'
import { globalKeys, type Key } from './keys.ts'
import { describeForeignKey, foreignKeys } from './schema/unsupported.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** One value from the environment, already in the shape that the schema expects, if it can be. */
export interface EnvironmentValue {
  readonly key: Key
  readonly name: string
  readonly value: unknown
  /** `ROUTES` and `POLICY` are YAML texts with lines of their own. */
  readonly document?: ConfigDocument
}

const byEnv = new Map(globalKeys.map((key) => [key.env, key]))
/** OpenTelemetry's variables belong to every program of a machine, not to us. */
const foreignEnv = new Map(
  foreignKeys('global')
    .filter((key) => !key.startsWith('otel_'))
    .map((key) => [key.toUpperCase(), key]),
)

/**
 * Name = upper-case key, `DIRECTORY_OKTA_URL` for nested ones. An empty variable is none, and white space around a value no
 * part of it: `echo secret | base64` puts a newline into Secrets.
 */
export function readEnvironment(env: Environment): {
  readonly values: readonly EnvironmentValue[]
  readonly issues: readonly ConfigIssue[]
} {
  const values: EnvironmentValue[] = []
  const issues: ConfigIssue[] = []
  const issue = (severity: ConfigIssue['severity'], name: string, path: Path, message: string): void => {
    issues.push({ severity, source: { kind: 'environment', name }, path, message })
  }

  for (const [name, written] of Object.entries(env)) {
    const text = trimmed(written ?? '')
    if (text === '') continue
    const target = environmentAliases.get(name)
    const key = byEnv.get(target ?? name)
    const foreign = foreignEnv.get(name)
    if (key) {
      const other = target === undefined ? '' : trimmed(env[target] ?? '')
      if (other === '') values.push(readValue(key, name, text, issue))
      else if (other !== text) issue('error', name, key.path, `${target} is set too, and differs; set one of them`)
    } else if (foreign !== undefined) {
      const said = describeForeignKey(foreign, text, 'global')
      // Of services that ran beside Pomerium: no route is lost by it.
      if (said) issue(foreign === 'forward_auth_url' ? 'warning' : said.severity, name, [], said.message)
    } else if (name.length >= 8 && name.includes('_')) {
      const [, ours = ''] = /^POSTERN_(.*)$/s.exec(name) ?? []
      const near = byEnv.has(ours) ? ours : nearest(name, byEnv.keys())
      if (near !== undefined) issue('warning', name, [], `unknown variable; did you mean ${near}?`)
    }
  }
  return { values, issues }
}

/** Of several lines the first may be indented like the others: YAML. */
function trimmed(text: string): string {
  const ended = text.trimEnd()
  return ended.includes('\n') ? ended : ended.trimStart()
}

function readValue(
  key: Key,
  name: string,
  written: string,
  issue: (severity: ConfigIssue['severity'], name: string, path: Path, message: string) => void,
): EnvironmentValue {
  if (key.kind === 'routes') {
    const document = parseConfigDocument(plainOrBase64(written), `environment ${name}`)
    return { key, name, value: document.value, document }
  }
  const text = unquote(written)
  if (text !== written) {
    issue('warning', name, key.path, 'the quotes around the value were removed; env files take values without quotes')
  }
  return { key, name, value: convert(key.kind, text) }
}

/** What cannot be converted stays text: the schema says what it expected. */
function convert(kind: Key['kind'], text: string): unknown {
  // As Go reads a flag, and so Pomerium.
  if (kind === 'flag') return /^(?:true|t|1)$/i.test(text) ? true : /^(?:false|f|0)$/i.test(text) ? false : text
  if (kind === 'number') return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text
  if (kind !== 'text' && /^\s*[[{]/.test(text)) return parseJson(text) ?? text
  if (kind === 'list')
    return text
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean)
  return text
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: the schema says what it expected.
    return undefined
  }
}

function unquote(text: string): string {
  return /^(["']).*\1$/s.test(text) && text.length >= 2 ? text.slice(1, -1) : text
}

/** Base64 has no spaces, colons or dashes, and a list of routes cannot do without. */
function plainOrBase64(text: string): string {
  return /^[A-Za-z0-9+/=_\s-]+$/.test(text) ? (decodeBase64(text) ?? text) : text
}
