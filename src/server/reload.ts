/**
 * What a new configuration changes in a running Postern. Routes, policies, certificates and how identity is passed
 * take effect at once, in one generation; what is wired at the start is kept as it was and named.
 */
import { sha256 } from '../lib/crypto.ts'
import { Secret } from '../lib/secret.ts'
import type { Config } from '../config/model.ts'

export interface Reload {
  /** The running configuration with every live part of the new one. */
  readonly config: Config
  /** Parts that changed but wait for a restart. */
  readonly needsRestart: readonly string[]
  /** For the log: `2 routes added, 1 changed`. */
  readonly summary: string
  readonly certificateChanged: boolean
}

/** Wired at the start: keys, identity provider, directory, store, addresses. */
const FIXED = [
  'compatibility',
  'authenticate',
  'idp',
  'directory',
  'sharedSecrets',
  'signingKeys',
  'storage',
  'operations',
  'log',
] as const

export function mergeConfig(running: Config, next: Config): Reload {
  const kept: Partial<Config> = Object.fromEntries(FIXED.map((key) => [key, running[key]]))
  const { tls: runningTls, ...runningAddress } = running.listen
  const { tls: nextTls, ...nextAddress } = next.listen
  // A certificate can be exchanged; whether there is TLS at all, and where, cannot.
  const sameListener = fingerprint(runningAddress) === fingerprint(nextAddress) && !runningTls === !nextTls
  const listen = sameListener ? next.listen : running.listen
  const needsRestart: string[] = FIXED.filter((key) => fingerprint(running[key]) !== fingerprint(next[key]))
  if (!sameListener) needsRestart.push('listen')
  return {
    config: Object.freeze({ ...next, ...kept, naming: running.naming, listen }),
    needsRestart,
    summary: summarise(running, next),
    certificateChanged: sameListener && fingerprint(runningTls) !== fingerprint(nextTls),
  }
}

function summarise(running: Config, next: Config): string {
  const before = new Map(running.routes.map((route) => [route.id, fingerprint(route)]))
  const after = new Map(next.routes.map((route) => [route.id, fingerprint(route)]))
  const added = [...after.keys()].filter((id) => !before.has(id)).length
  const removed = [...before.keys()].filter((id) => !after.has(id)).length
  const changed = [...after].filter(([id, print]) => before.has(id) && before.get(id) !== print).length
  const parts = [
    [added, 'added'],
    [removed, 'removed'],
    [changed, 'changed'],
  ] as const
  const said = parts
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${count === 1 ? 'route' : 'routes'} ${word}`)
  return said.join(', ') || 'no route changed'
}

/** Equal for equal values, secrets included; compiled rules count by their description. */
export function fingerprint(value: unknown): string {
  return sha256(
    JSON.stringify(value, function (this: Record<string, unknown>, key: string, plain: unknown) {
      const raw = this[key]
      if (raw instanceof Secret) return sha256(raw.reveal())
      return raw instanceof Map ? [...raw] : plain
    }) ?? '',
  )
}
