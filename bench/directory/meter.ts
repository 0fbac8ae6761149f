import type { LoggedCall } from '../../emulator/okta/http/call-log.ts'
import type { Program } from '../programs.ts'
import type { Okta } from './okta.ts'

export interface Metered {
  /** Calls of the management API by Postern. */
  readonly calls: readonly LoggedCall[]
  /** Calls that Okta refused with 429, whoever made them. */
  readonly refused: number
  /** The largest share that Postern took of any bucket of its token in one window, and of which. */
  readonly share: number
  readonly bucket: string
  readonly minutes: number
  /** CPU time as a share of one core. */
  readonly cpu: number
  /** The most resident memory, in MiB. */
  readonly rss: number
  /** Most resident memory without mapped files (program, store), in MiB. */
  readonly anonymous: number
}

const INTERVAL = 2000

/** Measures CPU, memory and calls to Okta until `stop`. */
export async function startMeter(okta: Okta, program: Program): Promise<{ stop(): Promise<Metered> }> {
  const before = new Set((await okta.calls()).map(({ requestId }) => requestId))
  const heard = new Map<string, LoggedCall>()
  const begin = performance.now()
  const cpu = program.cpu()
  let rss = 0
  let anonymous = 0
  let share = 0
  let bucket = ''

  async function look(): Promise<void> {
    rss = Math.max(rss, program.rss())
    anonymous = Math.max(anonymous, program.rss('RssAnon'))
    for (const one of await okta.calls()) if (!before.has(one.requestId)) heard.set(one.requestId, one)
    for (const state of await okta.buckets()) {
      if (state.scope === 'org' || state.used / state.limit <= share) continue
      share = state.used / state.limit
      bucket = state.bucket
    }
  }

  let looking = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking.then(look)
    looking.catch(() => clearInterval(timer))
  }, INTERVAL)

  return {
    async stop() {
      const seconds = (performance.now() - begin) / 1000
      const used = program.cpu() - cpu
      clearInterval(timer)
      await looking
      await look()
      const all = [...heard.values()]
      return {
        calls: all.filter(({ path, userAgent }) => path.startsWith('/api/v1/') && userAgent === 'postern'),
        refused: all.filter(({ status }) => status === 429).length,
        share,
        bucket,
        minutes: seconds / 60,
        cpu: used / seconds,
        rss,
        anonymous,
      }
    },
  }
}

/** Purpose of a call, from its path. */
export function purposeOf({
  path,
  query,
}: LoggedCall): 'log' | 'groups changed' | 'people changed' | 'members' | 'groups' | 'person' {
  const [, collection, id, sub] = /^\/api\/v1\/(\w+)(?:\/([^/]+))?(?:\/(\w+))?/.exec(path) ?? []
  if (collection === 'logs') return 'log'
  const changed = query.includes('filter=')
  if (collection === 'groups') return sub === 'users' ? 'members' : changed ? 'groups changed' : 'groups'
  return id === undefined && changed ? 'people changed' : 'person'
}

/** `log 12, person 3`, the most frequent first. */
export function purposes(calls: readonly LoggedCall[]): string {
  const counts = new Map<string, number>()
  for (const one of calls) counts.set(purposeOf(one), (counts.get(purposeOf(one)) ?? 0) + 1)
  const sorted = [...counts].toSorted(([, left], [, right]) => right - left)
  return sorted.map(([purpose, count]) => `${purpose} ${count}`).join(', ')
}
