/** What a request costs as there is more of something: connections, bytes, routes, groups, sessions. */
import { createKeyRings } from '../src/lib/key-ring.ts'
import type { Cell } from './figures.ts'
import { formatIssue } from '../src/config/issues.ts'
import { parseConfig } from '../src/config/load.ts'
import { systemClock } from '../src/lib/clock.ts'
import { randomId } from '../src/lib/crypto.ts'
import { silentLogger } from '../src/lib/log.ts'
import { personKey } from '../src/lib/person.ts'
import { later } from '../src/lib/time.ts'
import { createCookieCheck } from '../src/session/cookie-check.ts'
import { createSessions } from '../src/session/sessions.ts'
import { sessionsTable } from '../src/session/tables.ts'
import { openLmdbStore } from '../src/store/lmdb.ts'
import { fingerprint } from '../src/store/record.ts'
import type { Identity } from '../src/types.ts'
import type { Session } from '../src/session/model.ts'
import { BY_ROUTES, BY_WORKERS, NGINX, SIGNED_IN } from './budgets.ts'
import { SIZES, startNginxProxy } from './nginx.ts'
import { type Postern, startPostern } from './postern.ts'
import { answering, freePort, UNDER_TEST } from './programs.ts'
import type { Ground, Selection } from './proxies.ts'
import { compare, type Target, type Work } from './rounds.ts'

const GET = { path: '/', connections: 64 } as const
const CONNECTIONS = [1, 4, 16, 64, 256, 1024, 4096]
const GROUPS = [1, 10, 100, 500]
const SESSIONS = [1000, 10_000, 100_000, 1_000_000]
/** Sessions that requests are made with, of all, in turn. They fit into memory; a second of the load gets no further than 20,000. */
const ASKED = 10_000
/** Sessions of one commit, which waits for the disk. */
const PIECE = 50_000
const HOUR = 3_600_000

interface Part {
  readonly name: string
  readonly works: () => Promise<readonly Work[]>
}

export async function measureGrowth(selection: Selection, ground: Ground): Promise<readonly Cell[]> {
  const started: Postern[] = []
  const postern = async (options: Partial<Parameters<typeof startPostern>[0]> = {}): Promise<Postern> => {
    const one = await startPostern({ core: UNDER_TEST, ...ground, ...options })
    started.push(one)
    return one
  }
  const target = ({ program, port, app }: Postern, name: string, at: number): Target => ({
    name,
    program,
    port,
    headers: app,
    at,
  })

  const parts: readonly Part[] = [
    {
      name: 'growth: connections',
      async works() {
        // By default more than 512 and 1024 that wait are refused.
        const settings = { upstream_max_connections: 4096, upstream_max_pending: 4096 }
        const both = await beside(await postern({ settings }))
        return CONNECTIONS.map((connections) => ({
          ...GET,
          name: `GET 1 KiB, ${connections} of up to 4096 connections`,
          connections,
          series: 'connections',
          targets: both.map((one) => ({ ...one, at: connections })),
        }))
      },
    },
    {
      name: 'growth: bytes',
      async works() {
        const both = await beside(await postern())
        return SIZES.map((size) => ({
          name: `GET ${size} bytes, 8 connections`,
          path: `/size/${size}`,
          connections: 8,
          series: 'bytes of an answer',
          targets: both.map((one) => ({ ...one, at: size })),
        }))
      },
    },
    {
      name: 'growth: routes',
      async works() {
        const routes = (length: number, route: (i: number) => object): readonly object[] =>
          Array.from({ length }, (_, i) => route(i))
        const prefix = (i: number): object => ({ prefix: `/api/x-${i}/` })
        const regex = (i: number): object => ({ regex: `/(?:api|v1)/[a-z]+-${i}/` })
        const host = (i: number): object => ({ from: `http://app${i}.localhost` })
        const prefixes = await postern({ routes: routes(10_000, prefix) })
        const regexes = await postern({ routes: routes(1000, regex) })
        // In no order that a processor could foresee.
        const each = (length: number): readonly string[] =>
          Array.from({ length }, (_, i) => `/api/x-${(i * 7919) % length}/`)
        return [
          {
            name: BY_ROUTES,
            path: '/api/x-77/',
            connections: 64,
            series: 'routes of one host',
            targets: [
              target(await postern(), '1 route', 1),
              target(await postern({ routes: routes(10_000, host) }), '10000 hosts', 10_000),
              target(await postern({ routes: routes(100, prefix) }), '100 prefixes', 100),
              target(await postern({ routes: routes(1000, prefix) }), '1000 prefixes', 1000),
              target(prefixes, '10000 prefixes', 10_000),
              target(regexes, '1000 regexes', 1000),
              { ...target(prefixes, '10000 prefixes, each in turn', 10_000), paths: each(10_000) },
              { ...target(regexes, '1000 regexes, each in turn', 1000), paths: each(1000) },
            ],
          },
        ]
      },
    },
    {
      name: 'growth: workers',
      async works() {
        selection.leave('how much more 2 workers answer on 2 free cores: load and upstream need cores of their own')
        const targets: Target[] = []
        for (const workers of [1, 2]) {
          const name = workers === 1 ? '1 worker' : `${workers} workers`
          targets.push(target(await postern({ settings: { workers } }), name, workers))
        }
        return [{ ...GET, name: BY_WORKERS, series: 'workers on one core', targets }]
      },
    },
    {
      name: 'growth: groups',
      async works() {
        const targets: Target[] = []
        for (const count of GROUPS) {
          const groups = Array.from({ length: count - 1 }, (_, i) => `Team ${i}`)
          targets.push(target(await postern({ groups }), `${count} groups`, count))
        }
        return [{ ...GET, name: "GET 1 KiB by the person's groups, 64 connections", series: 'groups', targets }]
      },
    },
    {
      name: 'growth: sessions',
      async works() {
        const targets: Target[] = []
        for (const count of SESSIONS) {
          let cookies: readonly string[] = []
          const one = await postern({
            // Nobody knows these people but the store.
            settings: { idp_service_account: undefined },
            access: { allow_any_authenticated_user: true },
            async seed(settings, issuer) {
              cookies = await seedSessions(settings, issuer, count)
            },
          })
          targets.push({ ...target(one, `${count} sessions`, count), cookies })
        }
        return [{ ...GET, name: 'GET 1 KiB by number of sessions, 64 connections', series: 'sessions', targets }]
      },
    },
  ]

  async function beside(one: Postern): Promise<readonly Target[]> {
    const at = await freePort()
    const program = startNginxProxy(UNDER_TEST, ground.directory, at, ground.upstream)
    await answering(at)
    const nginx = { name: NGINX, program, port: at, headers: { Host: `app.localhost:${at}` } }
    return [{ name: SIGNED_IN, program: one.program, port: one.port, headers: one.app }, nginx]
  }

  const cells: Cell[] = []
  for (const { name, works } of parts) {
    if (!selection.wanted(name)) continue
    const run = async (): Promise<readonly Cell[]> => {
      const measured: Cell[] = []
      for (const work of await works()) measured.push(...(await compare({ ...selection, rounds: 3 }, work)))
      return measured
    }
    cells.push(...(await selection.attempt(name, run)))
    for (const one of started.splice(0)) await one.close()
  }
  return cells
}

/** Fills the store with sessions of as many people. Gives the cookies of some of them, evenly taken. */
async function seedSessions(settings: string, issuer: string, count: number): Promise<readonly string[]> {
  const loaded = parseConfig(settings, 'bench', {}, () => '')
  if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
  const { fixed, live } = loaded.config
  const { storage } = fixed
  const keyRings = createKeyRings(() => live.credentials.sharedSecrets)
  if (storage.kind !== 'embedded') throw new TypeError('bench: the embedded store is meant')
  const clock = systemClock
  const store = openLmdbStore({ path: storage.path, clock, logger: silentLogger })
  const sessions = createSessions({ store, clock, keyRings, audit: () => {} })
  const identityOf = (i: number): Identity => {
    const [subject, email] = [`00ubench${i}`, `person${i}@example.com`]
    return { issuer, subject, email, name: email, claims: { sub: subject, email } }
  }
  const first = await sessions.create(identityOf(0), { idToken: 'e30.e30.e30' }, later(clock.now(), 12 * HOUR))
  // It follows changes, of which there will be a million.
  sessions.close()
  const check = createCookieCheck(keyRings, 1)
  const step = Math.max(1, count / ASKED)
  const cookies: string[] = []
  // In the order of the file, records and index alike, so that each page of it is written once.
  const ids = inOrder(
    Array.from({ length: count }, () => randomId()),
    (id) => id,
  )
  const people = inOrder(
    Array.from({ length: count }, (_, i) => identityOf(i)),
    personKey,
  )
  for (let from = 0; from < count; from += PIECE) {
    const piece = new Map<string, Session>()
    for (const [i, id] of ids.slice(from, from + PIECE).entries()) {
      const identity = people[from + i] ?? first.identity
      piece.set(id, { ...first, id, identity, person: personKey(identity) })
      if ((from + i) % step < 1) cookies.push(`postern=${check.sign(id, 'postern', 'app.localhost')}`)
    }
    await store.write(sessionsTable, piece, { table: sessionsTable, key: '', version: 0 })
  }
  await store.close()
  return cookies
}

/** As the store orders them by their keys. */
function inOrder<T>(all: readonly T[], keyOf: (one: T) => string): readonly T[] {
  return all
    .map((one) => [fingerprint(keyOf(one)), one] as const)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, one]) => one)
}
