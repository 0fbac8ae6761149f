/** Directory, source and client together, against the emulated Okta, on one clock that only the test moves. */
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { createDirectory, type LiveDirectory } from '../../src/directory/directory.ts'
import { createOktaClient, type OktaClient } from '../../src/directory/okta/client.ts'
import { createOktaSource } from '../../src/directory/okta/source.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { DirectoryConfig } from '../../src/config/model.ts'
import { recordedLog } from '../unit/directory/recorded-log.ts'
import { type WatchedClock, watchedClock } from '../unit/directory/watched-clock.ts'
import { ISSUER, person } from '../support/person.ts'

const { alice, bob, carol } = DEMO.people
/** Of one call; no other timer has this delay, so that it tells when a call is under way. */
const CALL_TIMEOUT = 9999

interface World {
  readonly clock: WatchedClock
  readonly okta: OktaEmulator
  readonly directory: LiveDirectory
  readonly log: ReturnType<typeof recordedLog>
}

let ends: (() => Promise<void>)[]

beforeEach(() => {
  ends = []
})

afterEach(async () => {
  for (const end of ends.toReversed()) await end()
})

async function world(options: { rateLimits?: Record<string, number> } = {}): Promise<World> {
  const clock = watchedClock()
  const okta = await createOktaEmulator({
    clock,
    seed: demoSeed(),
    ...(options.rateLimits && { rateLimits: options.rateLimits }),
  })
  const log = recordedLog()
  const config: DirectoryConfig = {
    kind: 'okta',
    url: new URL(okta.url),
    credentials: { kind: 'token', token: new Secret(DEMO.apiToken) },
    budget: 0.5,
    timeout: CALL_TIMEOUT,
    refreshInterval: 60_000,
    maxStaleness: 3_600_000,
    signInTimeout: 5000,
    order: ['okta'],
    logInterval: 10_000,
  }
  const client: OktaClient = createOktaClient({ ...config, origin: okta.url, clock, random: () => 0.5 })
  const source = createOktaSource({ client, clock, logger: log })
  const store = createMemoryStore({ clock })
  const directory = createDirectory({ issuer: ISSUER, source, store, clock, config, logger: log, random: () => 0.5 })
  await directory.start()
  ends.push(
    () => okta.close(),
    () => store.close(),
    () => client.close(),
    () => directory.close(),
  )
  return { clock, okta, directory, log }
}

const signIn = ({ directory }: World, user: string) => directory.refresh(person(user), new AbortController().signal)

function groupsOf({ directory }: World, user: string): readonly string[] | 'unknown' {
  const membership = directory.membership(person(user))
  return membership === 'unknown' ? membership : membership.groups.map(({ name }) => name).toSorted()
}

/** Time passes in small steps, and stands still while a call is under way. */
async function pass({ clock }: World, time: number): Promise<void> {
  for (let left = time; left > 0; left -= 1000) {
    await clock.advanceAsync(Math.min(1000, left))
    do await turn()
    while (clock.waiting(CALL_TIMEOUT) > 0)
  }
}

test('a sign-in reads groups and status; a removal is seen within a minute without another request', async () => {
  const of = await world()
  await signIn(of, alice)
  await signIn(of, bob)
  expect(groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
  expect(groupsOf(of, bob)).toEqual(['Everyone', 'Sales'])
  const heard: string[] = []
  of.directory.onChange((user, status) => void heard.push(`${user} ${status}`))
  of.okta.removeMember('Engineering', alice)
  await pass(of, 75_000)
  expect(groupsOf(of, alice)).toEqual(['Everyone'])
  expect(heard).toEqual([`${person(alice)} active`])
})

test('a suspension is reported, and a suspended person is inactive at the first reading', async () => {
  const of = await world()
  await signIn(of, alice)
  await signIn(of, carol)
  expect(of.directory.status(person(carol))).toBe('inactive')
  const heard: string[] = []
  of.directory.onChange((user, status) => void heard.push(`${user} ${status}`))
  of.okta.setStatus(alice, 'SUSPENDED')
  await pass(of, 75_000)
  expect(of.directory.status(person(alice))).toBe('inactive')
  expect(heard).toEqual([`${person(alice)} inactive`])
})

test.each([
  ['503', { kind: 'status', status: 503 }],
  ['HTML with 200', { kind: 'status', status: 200 }],
  ['half a body', { kind: 'half' }],
  ['JSON that does not parse', { kind: 'malformed' }],
  ['a closed connection', { kind: 'cut' }],
  ['a foreign next page', { kind: 'headers', headers: { link: '<https://evil.example/api/v1/x>; rel="next"' } }],
] as const)(
  'while groups are answered with %s the last good ones stay, and recovery needs nobody',
  async (_name, act) => {
    const of = await world()
    await signIn(of, alice)
    of.okta.removeMember('Engineering', alice)
    of.okta.fault({ path: `/api/v1/users/${alice}/groups`, act })
    await pass(of, 120_000)
    expect(groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
    expect(of.directory.health().lastError).toBeDefined()
    of.okta.clearFaults()
    await pass(of, 90_000)
    expect(groupsOf(of, alice)).toEqual(['Everyone'])
  },
)

test('a revoked token keeps the groups until max_staleness, with one alarm and at most one call a minute', async () => {
  const of = await world()
  await signIn(of, alice)
  of.okta.revokeApiToken(DEMO.apiToken)
  of.okta.clearCalls()
  for (let minute = 0; minute < 10; minute++) {
    await signIn(of, bob)
    await pass(of, 60_000)
  }
  expect(groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
  expect(groupsOf(of, bob)).toBe('unknown')
  expect(of.okta.calls().length).toBeLessThanOrEqual(11)
  expect(of.log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
    'the group directory cannot be read: what is known stays',
  ])
  of.clock.advance(3_600_000)
  expect(groupsOf(of, alice)).toBe('unknown')
})

test('with a small budget everybody is read in time, sign-ins first, and Okta never answers 429', async () => {
  // The token sees half of a bucket and we use half of that: ten calls a minute for groups.
  const of = await world({ rateLimits: { '/api/v1/users': 40, '/api/v1/users/{id:.+}': 40 } })
  const crowd = Array.from({ length: 12 }, (_, n) => of.okta.addUser({ login: `user${n}@example.com` }, ['Sales']).id)
  for (const user of crowd) {
    of.directory.membership(person(user))
    await pass(of, 10_000)
  }
  await pass(of, 120_000)
  for (const user of crowd) expect(groupsOf(of, user)).toEqual(['Everyone', 'Sales'])
  // The background is busy with all of them by now; a sign-in still gets through at once.
  const reading = signIn(of, alice)
  await expect.poll(() => groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
  await reading
  const statuses = of.okta.calls().map(({ status }) => status)
  expect(statuses.filter((status) => status === 429)).toEqual([])
  const perMinute = new Map<number, number>()
  for (const { at, path } of of.okta.calls()) {
    if (!path.endsWith('/groups')) continue
    const minute = Math.floor(at / 60_000)
    perMinute.set(minute, (perMinute.get(minute) ?? 0) + 1)
  }
  // Windows do not begin with our minutes, so one of these may touch two.
  expect(Math.max(...perMinute.values())).toBeLessThanOrEqual(20)
})
