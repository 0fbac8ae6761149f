/** What a reload does, in words: which routes changed, and what waits for a restart. */
import { withoutCredentials } from '../config/credentials.ts'
import { fingerprint } from '../lib/fingerprint.ts'
import type { Config, Fixed, Live } from '../config/model.ts'

export interface Reload {
  readonly needsRestart: readonly string[]
  /** Other keys than `routes` that changed and are in force now: `cookie_name`. */
  readonly changed: readonly string[]
  /** For the log: `2 routes added, 1 changed`. */
  readonly summary: string
  /** How many there are now. */
  readonly routes: number
  /** Names of those that were added, removed or changed, as far as there is room. */
  readonly routesChanged: readonly string[]
  /** Of the configuration in force. */
  readonly checksum: string
}

/** What led to a configuration being loaded: somebody's signal, a file that changed, or the start. */
export type Trigger = 'start' | 'file' | 'signal'

const MOST_NAMES = 50

/** `fixed` is what the process was started with, `before` what it runs with now. */
export function compareConfig(fixed: Fixed, before: Live, next: Config): Reload {
  return {
    needsRestart: needsRestart(fixed, next.fixed),
    changed: changedKeys(before, next.live),
    ...summarise(before, next.live),
    routes: next.live.routes.length,
    checksum: checksumOf(fixed, next.live),
  }
}

/** Keys that differ from those that the process was started with, and are read once: `storage.path`. */
export function needsRestart(running: Fixed, next: Fixed): readonly string[] {
  // Another spelling of the same value (a secret that moved into a file) changes nothing.
  const [{ written: _before, ...before }, { written: _after, ...after }] = [running, next]
  if (fingerprint(withoutCredentials(before)) === fingerprint(withoutCredentials(after))) return []
  const keys = [...next.written].filter(([key, print]) => running.written.get(key) !== print).map(([key]) => key)
  // With the first https address, or without the last, the listener would have to become another one.
  return running.listen.tls === next.listen.tls ? keys : [...keys, 'certificate']
}

function changedKeys(before: Live, after: Live): readonly string[] {
  // Naming is what `compatibility` says, and the headers and hosts are those of routes.
  const prints = ({ routes: _r, naming: _n, identityHeaders: _h, acmeHosts: _a, credentials, ...live }: Live) =>
    new Map([
      ...Object.entries(live).map(([name, value]) => [snakeCase(name), fingerprint(value)] as const),
      ...credentials.written,
    ])
  const [old, now] = [prints(before), prints(after)]
  return [...new Set([...now.keys(), ...old.keys()])].filter((name) => old.get(name) !== now.get(name))
}

/** Fields of `Live` are called like the keys. */
function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** The same for the same configuration, as long as the program is. */
export function checksumOf(fixed: Fixed, live: Live): string {
  return Buffer.from(fingerprint({ fixed, live })).toString('hex').slice(0, 8)
}

function summarise(before: Live, after: Live): Pick<Reload, 'summary' | 'routesChanged'> {
  // Where it stands in the file does not count.
  const prints = ({ routes }: Live) =>
    new Map(routes.map((route) => [route.id, fingerprint({ ...route, definedAt: undefined })]))
  const [old, now] = [prints(before), prints(after)]
  const parts = [
    [[...now.keys()].filter((id) => !old.has(id)), 'added'],
    [[...old.keys()].filter((id) => !now.has(id)), 'removed'],
    [[...now].flatMap(([id, print]) => (old.has(id) && old.get(id) !== print ? [id] : [])), 'changed'],
  ] as const
  const said = parts
    .filter(([ids]) => ids.length > 0)
    .map(([ids, word]) => `${ids.length} ${ids.length === 1 ? 'route' : 'routes'} ${word}`)
  const names = new Map([...before.routes, ...after.routes].map(({ id, name }) => [id, name]))
  return {
    summary: said.join(', ') || 'no route changed',
    routesChanged: parts.flatMap(([ids]) => ids.map((id) => names.get(id) ?? id)).slice(0, MOST_NAMES),
  }
}
