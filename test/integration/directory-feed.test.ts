/** The feed of changes against the emulated Okta, on one clock that only the test moves. */
import { generateKeyPairSync } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator, type OktaEmulatorOptions } from '../../emulator/okta/emulator.ts'
import { type Directories, openDirectories } from '../../src/directory/directories.ts'
import { Secret } from '../../src/lib/secret.ts'
import { compileAccess } from '../../src/policy/legacy.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { DirectoryConfig } from '../../src/config/model.ts'
import type { Route } from '../../src/config/route-model.ts'
import type { Store } from '../../src/types.ts'
import { recordedLog } from '../unit/directory/recorded-log.ts'
import { type WatchedClock, watchedClock } from '../unit/directory/watched-clock.ts'
import { person } from '../support/person.ts'
import { createFeedTable } from '../../src/directory/okta/position.ts'

const { alice, bob, dave } = DEMO.people
const { engineering } = DEMO.groups
/** Of one call; no other timer has this delay, so that it tells when a call is under way. */
const CALL_TIMEOUT = 9999
const MINUTE = 60_000
const HOUR = 60 * MINUTE

let ends: (() => Promise<void>)[]
let clock: WatchedClock
let okta: OktaEmulator
let store: Store
let log: ReturnType<typeof recordedLog>
/** Okta's clock, against ours. */
let behind: number

beforeEach(() => {
  ends = []
  behind = 0
})

afterEach(async () => {
  for (const end of ends.toReversed()) await end()
})

async function world(
  options: OktaEmulatorOptions = {},
  wanted: readonly string[] = ['Engineering'],
  more: Partial<DirectoryConfig> = {},
): Promise<Directories> {
  clock = watchedClock()
  // A step of our clock is none of Okta's.
  const theirs = { now: () => clock.monotonic() - behind, after: clock.after.bind(clock) }
  okta = await createOktaEmulator({ clock: theirs, seed: demoSeed(), ...options })
  store = createMemoryStore({ clock })
  log = recordedLog()
  ends.push(
    () => okta.close(),
    () => store.close(),
  )
  return open(wanted, more)
}

async function open(
  wanted: readonly string[] = ['Engineering'],
  more: Partial<DirectoryConfig> = {},
): Promise<Directories> {
  const config: DirectoryConfig = {
    kind: 'okta',
    url: new URL(okta.url),
    credentials: { kind: 'token', token: new Secret(DEMO.apiToken) },
    budget: 0.5,
    timeout: CALL_TIMEOUT,
    refreshInterval: MINUTE,
    maxStaleness: HOUR,
    signInTimeout: 5000,
    order: ['okta'],
    logInterval: 10_000,
    hookSecret: new Secret('the-secret-of-the-hook'),
    ...(more as object),
  }
  const policy = compileAccess(
    {
      allowPublic: false,
      allowAnyAuthenticated: false,
      allowedUsers: [],
      allowedDomains: [],
      allowedGroups: wanted,
      allowedIdpClaims: new Map(),
    },
    undefined,
  )
  const routes = [{ policy } as unknown as Route]
  const scimUrl = new URL('http://authenticate.localhost/.postern/scim/v2')
  const opened = openDirectories({
    scopes: [{ config, issuer: 'https://org.okta.example', apps: [DEMO.clientId] }],
    store,
    clock,
    logger: log,
    routes: () => routes,
    scimUrl: () => scimUrl,
  })
  ends.push(() => opened.close())
  await opened.start()
  opened.follow()
  await settle()
  return opened
}

const signIn = ({ directory }: Directories, user: string) =>
  directory.refresh(person(user), new AbortController().signal)

function groupsOf({ directory }: Directories, user: string): readonly string[] | 'unknown' {
  const membership = directory.membership(person(user))
  return membership === 'unknown' ? membership : membership.groups.map(({ name }) => name).toSorted()
}

/** Until no call is under way any more. */
async function settle(): Promise<void> {
  for (let quiet = 0; quiet < 5; quiet++) {
    await turn()
    if (clock.waiting(CALL_TIMEOUT) > 0) quiet = 0
  }
}

async function pass(time: number): Promise<void> {
  for (let left = time; left > 0; left -= 1000) {
    await clock.advanceAsync(Math.min(1000, left))
    await settle()
  }
}

const callsTo = (path: string): number => okta.calls().filter((call) => call.path.startsWith(path)).length
const messages = (level: string): readonly string[] =>
  log.lines.filter((line) => line.level === level).map(({ message }) => message)

describe('with the System Log', () => {
  test('a removal, an addition and a suspension count within one interval, without a reading of anybody', async () => {
    const of = await world()
    await signIn(of, alice)
    await signIn(of, bob)
    await pass(60_000)
    const heard: string[] = []
    of.directory.onChange((user, status) => void heard.push(`${user} ${status}`))
    const ended: string[] = []
    of.directory.onSessionsEnd((user) => void ended.push(user))
    okta.clearCalls()
    okta.removeMember('Engineering', alice)
    okta.addMember('Engineering', bob)
    await pass(11_000)
    expect(groupsOf(of, alice)).toEqual(['Everyone'])
    expect(groupsOf(of, bob)).toEqual(['Engineering', 'Everyone', 'Sales'])
    expect(callsTo('/api/v1/users/00u')).toBe(0)
    okta.setStatus(bob, 'SUSPENDED')
    await pass(11_000)
    expect(of.directory.status(person(bob))).toBe('inactive')
    expect([...new Set(heard)]).toEqual([`${person(alice)} active`, `${person(bob)} active`, `${person(bob)} inactive`])
    expect(ended).toEqual([person(bob)])
    okta.setStatus(bob, 'ACTIVE')
    await pass(15_000)
    expect(of.directory.status(person(bob))).toBe('active')
    expect(groupsOf(of, bob)).toEqual(['Engineering', 'Everyone', 'Sales'])
  })

  test('people stay fresh without being read, and cost nothing: at most twelve calls a minute', async () => {
    const of = await world()
    for (const user of [alice, bob, dave]) await signIn(of, user)
    await pass(2 * MINUTE)
    okta.clearCalls()
    for (let minute = 0; minute < 180; minute++) {
      for (const user of [alice, bob, dave]) of.directory.membership(person(user))
      await pass(MINUTE)
    }
    expect(groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
    expect(callsTo('/api/v1/users/00u')).toBe(0)
    expect(okta.calls().length / 180).toBeLessThanOrEqual(12)
    const membership = of.directory.membership(person(alice))
    expect(clock.now() - Number(membership === 'unknown' ? 0 : membership.freshAt)).toBeLessThanOrEqual(11_000)
  })

  test('sessions that Okta clears are over, those begun later are not', async () => {
    const of = await world()
    await signIn(of, alice)
    const ended: (readonly [string, number])[] = []
    of.directory.onSessionsEnd((user, before) => void ended.push([user, Number(before)]))
    await pass(20_000)
    const at = clock.now()
    okta.endSessions(alice)
    await pass(11_000)
    expect(ended).toEqual([[person(alice), at]])
    expect(of.directory.status(person(alice))).toBe('active')
  })

  test("sessions that Okta clears are over also while our clock is ahead of Okta's, by a minute or by twenty", async () => {
    for (const off of [MINUTE, 20 * MINUTE]) {
      behind = off
      const of = await world()
      const ended: [string, number][] = []
      of.directory.onSessionsEnd((who, before) => void ended.push([who, Number(before)]))
      await signIn(of, alice)
      await pass(12_000)
      const clearedAt = clock.now()
      okta.endSessions(alice)
      await pass(25_000)
      expect(ended.map(([who]) => who)).toEqual([person(alice)])
      expect(ended[0]?.[1]).toBeGreaterThan(clearedAt - 2000)
      expect(ended[0]?.[1]).toBeLessThanOrEqual(clearedAt + 1)
    }
  })

  test('a group that is deleted is left, one that is renamed has its new name', async () => {
    const of = await world()
    await signIn(of, alice)
    await signIn(of, bob)
    await pass(20_000)
    okta.org.deleteGroup(engineering)
    okta.org.updateGroup(DEMO.groups.sales, { name: 'Revenue' })
    await pass(12_000)
    expect(groupsOf(of, alice)).toEqual(['Everyone'])
    expect(groupsOf(of, bob)).toEqual(['Everyone', 'Revenue'])
  })

  test.each(['Another', 'Zoology'])(
    'a group that is renamed to %s has this name in every process, at once',
    async (name) => {
      const of = await world()
      const other = await open()
      await signIn(of, alice)
      await pass(30_000)
      okta.org.updateGroup(engineering, { name })
      await pass(15_000)
      for (const each of [of, other]) expect(groupsOf(each, alice)).toEqual([name, 'Everyone'].toSorted())
    },
  )

  test('a doubt that a reading settles is settled in every process', async () => {
    const soon = { maxStaleness: 5 * MINUTE }
    const of = await world({}, ['Engineering'], soon)
    const other = await open(['Engineering'], soon)
    await signIn(of, alice)
    await pass(30_000)
    okta.org.note('user.account.unlock', alice)
    for (let minute = 0; minute < 7; minute++) {
      for (const each of [of, other]) each.directory.membership(person(alice))
      await pass(MINUTE)
    }
    for (const each of [of, other]) expect(groupsOf(each, alice)).toEqual(['Engineering', 'Everyone'])
  })

  test('who is added to a group that was renamed while nobody was in it gets nothing by its old name', async () => {
    const of = await world()
    await signIn(of, alice)
    await signIn(of, dave)
    await pass(30_000)
    const { id } = okta.addGroup('Night shift')
    okta.addMember('Night shift', alice)
    await pass(30_000)
    expect(groupsOf(of, alice)).toContain('Night shift')
    okta.removeMember('Night shift', alice)
    await pass(15_000)
    okta.org.updateGroup(id, { name: 'Day shift' })
    await pass(10_000)
    okta.addMember('Day shift', dave)
    await pass(11_000)
    expect(groupsOf(of, dave)).toContain('Day shift')
    expect(groupsOf(of, dave)).not.toContain('Night shift')
  })

  test('an addition that comes late, after the removal, brings nobody back', async () => {
    const of = await world()
    await signIn(of, bob)
    await pass(20_000)
    okta.delayEvents({ by: 120_000, eventType: 'group.user_membership.add', times: 1 })
    okta.addMember('Engineering', bob)
    await pass(5000)
    okta.removeMember('Engineering', bob)
    for (let second = 0; second < 150; second++) {
      await pass(1000)
      expect(groupsOf(of, bob)).toEqual(['Everyone', 'Sales'])
    }
  })

  test('a position that Okta does not accept any more is taken up again, and nothing is lost', async () => {
    const of = await world()
    await signIn(of, alice)
    await pass(20_000)
    okta.removeMember('Engineering', alice)
    okta.dropLogCursors()
    await pass(12_000)
    expect(groupsOf(of, alice)).toEqual(['Everyone'])
    expect(messages('warn')).toContain(
      'okta: the position in the System Log is not accepted any more: reading again from here',
    )
    expect(of.metrics().feed).toMatchObject({ restarts: 1, mode: 'log', leading: true })
  })

  test('what happened while nobody listened counts after a restart', async () => {
    const of = await world()
    await signIn(of, alice)
    await pass(20_000)
    await of.close()
    okta.removeMember('Engineering', alice)
    clock.advance(30 * MINUTE)
    const again = await open()
    await pass(2000)
    expect(groupsOf(again, alice)).toEqual(['Everyone'])
  })

  test('while Okta is away everybody keeps what they had, and what happened counts when it is back', async () => {
    const of = await world()
    await signIn(of, alice)
    await pass(60_000)
    okta.fault({ path: '/api/v1', act: { kind: 'status', status: 503 } })
    okta.removeMember('Engineering', alice)
    for (let minute = 0; minute < 30; minute++) {
      await pass(MINUTE)
      expect(groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
    }
    okta.clearFaults()
    await pass(15_000)
    expect(groupsOf(of, alice)).toEqual(['Everyone'])
  })

  test('two processes share one store: one polls, both know, and the other takes over', async () => {
    const first = await world()
    const second = await open()
    await signIn(second, alice)
    await pass(20_000)
    expect([first, second].map((of) => of.metrics().feed?.leading)).toEqual([true, false])
    okta.removeMember('Engineering', alice)
    await pass(11_000)
    expect([first, second].map((of) => groupsOf(of, alice))).toEqual([['Everyone'], ['Everyone']])
    await first.close()
    okta.addMember('Engineering', alice)
    await pass(15_000)
    expect(groupsOf(second, alice)).toEqual(['Engineering', 'Everyone'])
    expect(second.metrics().feed?.leading).toBe(true)
  })

  test.each([0, 3_600_000, -3_600_000])(
    'of three processes one reads Okta for all, also after a step of %i ms, and another does within seconds when it ends',
    async (step) => {
      const first = await world()
      const others = [await open(), await open()]
      const all = [first, ...others]
      await pass(2 * MINUTE)
      okta.clearCalls()
      clock.step(step)
      await pass(MINUTE)
      expect(okta.calls().length).toBeLessThanOrEqual(12)
      expect(all.map((of) => of.metrics().feed?.leading)).toEqual([true, false, false])
      okta.clearCalls()
      for (const of of others) {
        const signingIn = signIn(of, alice)
        await pass(1000)
        await signingIn
      }
      // The second finds what the first had read.
      expect(callsTo(`/api/v1/users/${alice}`)).toBeLessThanOrEqual(4)
      expect(all.map((of) => groupsOf(of, alice))).toEqual(Array.from({ length: 3 }, () => ['Engineering', 'Everyone']))
      okta.removeMember('Engineering', alice)
      await pass(11_000)
      expect(all.map((of) => groupsOf(of, alice))).toEqual(Array.from({ length: 3 }, () => ['Everyone']))
      await first.close()
      await pass(5000)
      expect(others.filter((of) => of.metrics().feed?.leading)).toHaveLength(1)
      okta.addMember('Engineering', alice)
      await pass(15_000)
      expect(others.map((of) => groupsOf(of, alice))).toEqual(
        Array.from({ length: 2 }, () => ['Engineering', 'Everyone']),
      )
    },
  )

  test('who finds that another process wrote the position meanwhile overwrites nothing and follows no more', async () => {
    const of = await world()
    await pass(15_000)
    const table = createFeedTable()
    const stored = await store.get(table, okta.url)
    expect(of.metrics().feed?.leading).toBe(true)
    const theirs = { ...(stored?.value ?? expect.fail('stored above')), lastPublished: clock.now() + 77 }
    await store.put(table, okta.url, theirs)
    await clock.advanceAsync(10_000)
    await settle()
    expect((await store.get(table, okta.url))?.value.lastPublished).toBe(clock.now() - 10_000 + 77)
    await pass(15_000)
    expect(of.metrics().feed?.leading).toBe(true)
  })

  test('who is killed leaves the lease behind, and is followed within a quarter of a minute', async () => {
    const of = await world()
    await of.close()
    expect(await store.lease('directory-feed', 9000)).toBeDefined()
    const again = await open(['Engineering'], { logInterval: MINUTE })
    const signingIn = signIn(again, alice)
    await pass(13_000)
    await signingIn
    expect(again.metrics().feed?.leading).toBe(true)
    expect(groupsOf(again, alice)).toEqual(['Engineering', 'Everyone'])
    okta.removeMember('Engineering', alice)
    await pass(MINUTE)
    expect(groupsOf(again, alice)).toEqual(['Everyone'])
  })

  test('an import is compared: members of an imported group', async () => {
    const of = await world()
    const { id } = okta.addGroup({ name: 'AD Users', type: 'APP_GROUP' })
    await of.close()
    const again = await open([id])
    await signIn(again, alice)
    await pass(70_000)
    okta.importMemberships('AD Users', { add: [alice] })
    await pass(15_000)
    expect(groupsOf(again, alice)).toEqual(['AD Users', 'Engineering', 'Everyone'])
    okta.importMemberships('AD Users', { remove: [alice] })
    await pass(15_000)
    expect(groupsOf(again, alice)).toEqual(['Engineering', 'Everyone'])
  })
})

describe('what the log missed', () => {
  test('a change whose event is lost is found by comparing, within two minutes', async () => {
    const of = await world()
    await signIn(of, alice)
    await pass(2 * MINUTE)
    okta.delayEvents({ by: 24 * HOUR })
    okta.removeMember('Engineering', alice)
    okta.setStatus(bob, 'SUSPENDED')
    await signIn(of, dave)
    await pass(2 * MINUTE)
    expect(groupsOf(of, alice)).toEqual(['Everyone'])
  })

  test.each([2000, 15_000, MINUTE])(
    'a removal that the log does not tell counts within a refresh_interval of %i ms, for groups that policies name',
    async (refreshInterval) => {
      const of = await world({}, ['Engineering'], { refreshInterval })
      await signIn(of, alice)
      await pass(2 * MINUTE)
      expect(of.metrics().feed?.mode).toBe('log')
      for (const wait of [0, 700, 1900]) {
        await pass(wait)
        okta.delayEvents({ by: 24 * HOUR })
        okta.removeMember('Engineering', alice)
        await pass(refreshInterval)
        expect(groupsOf(of, alice)).toEqual(['Everyone'])
        okta.addMember('Engineering', alice)
        await pass(refreshInterval + 5000)
        expect(groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
      }
    },
    60_000,
  )

  test('a removal that the log does not tell counts also while the list of all groups is read again at leisure', async () => {
    const of = await world()
    await signIn(of, alice)
    for (let n = 0; n < 1000; n++) okta.addGroup(`Group ${n}`)
    await pass(HOUR)
    for (let time = 0; time < 2; time++) {
      okta.delayEvents({ by: 24 * HOUR })
      okta.removeMember('Engineering', alice)
      await pass(MINUTE)
      expect(groupsOf(of, alice)).not.toContain('Engineering')
      okta.addMember('Engineering', alice)
      await pass(MINUTE + 5000)
      expect(groupsOf(of, alice)).toContain('Engineering')
    }
  })

  test('a removal that the log does not tell counts in an org of more than 20,000 groups', async () => {
    const of = await world({ rateLimits: 'off' })
    await of.close()
    for (let n = 0; n < 20_100; n++) okta.addGroup(`Group ${n}`)
    await pass(20 * MINUTE)
    const again = await open()
    await signIn(again, alice)
    await pass(2 * MINUTE)
    okta.delayEvents({ by: 24 * HOUR })
    okta.removeMember('Engineering', alice)
    await pass(MINUTE)
    expect(groupsOf(again, alice)).not.toContain('Engineering')
  })

  test('a name that no group has is said with the nearest, and two groups of one name count both', async () => {
    const of = await world({}, ['Enginering', 'Sales'])
    okta.addGroup('Sales')
    await pass(30_000)
    await of.close()
    await open(['Enginering', 'Sales'])
    await pass(30_000)
    const said = log.lines
      .filter(({ level }) => level === 'warn')
      .map(({ fields, message }) => ({ message, ...fields }))
    expect(said).toContainEqual({
      message: 'okta: no group is what a policy asks for: no person is in it',
      group: 'Enginering',
      suggestion: 'Engineering',
    })
    expect(said).toContainEqual(
      expect.objectContaining({
        message: 'okta: several groups have the name that a policy asks for: each of them counts',
        group: 'Sales',
      }),
    )
  })
})

describe('without the right to read the log', () => {
  const seed = (): OktaEmulatorOptions => ({
    seed: {
      ...demoSeed(),
      tokens: [{ value: DEMO.apiToken, owner: 'service@example.com', role: 'GROUP_MEMBERSHIP_ADMIN' }],
    },
  })

  test('changes are found by comparing lists, which is said once', async () => {
    const of = await world(seed())
    await signIn(of, alice)
    await signIn(of, bob)
    await pass(2 * MINUTE)
    expect(of.metrics().feed).toMatchObject({ mode: 'delta', leading: true })
    okta.removeMember('Engineering', alice)
    okta.setStatus(bob, 'DEPROVISIONED')
    await pass(75_000)
    // A token with this role does not see Everyone (okta-api.md#api-tokens-and-errors).
    expect(groupsOf(of, alice)).toEqual([])
    expect(of.directory.status(person(bob))).toBe('inactive')
    await pass(20 * MINUTE)
    expect(messages('warn').filter((message) => message.includes('System Log may not be read'))).toHaveLength(1)
  })

  test("changes are found while our clock is ahead of Okta's, and while it is behind", async () => {
    for (const off of [20 * MINUTE, -20 * MINUTE]) {
      behind = off
      const of = await world(seed())
      await of.close()
      await pass(HOUR)
      const again = await open()
      await signIn(again, alice)
      await signIn(again, bob)
      await pass(2 * MINUTE)
      okta.removeMember('Engineering', alice)
      okta.setStatus(bob, 'DEPROVISIONED')
      await pass(75_000)
      expect(groupsOf(again, alice)).not.toContain('Engineering')
      expect(again.directory.status(person(bob))).toBe('inactive')
    }
  })
})

describe('with a service app', () => {
  test('a signed assertion gets a token, which is renewed, and everything works as with an API token', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const clientId = '0oaserviceapp0000001'
    const scopes = ['okta.users.read', 'okta.groups.read', 'okta.logs.read']
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const of = await world(
      {
        seed: {
          ...demoSeed(),
          apps: [
            {
              id: clientId,
              label: 'Postern directory',
              kind: 'service',
              jwks: [{ ...publicKey.export({ format: 'jwk' }), kty: 'RSA', kid: 'k1' }],
              grantedScopes: scopes,
              role: 'READ_ONLY_ADMIN',
            },
          ],
        },
      },
      ['Engineering'],
      {
        credentials: { kind: 'service-app', clientId, privateKey: new Secret(pem), keyId: 'k1', scopes },
      },
    )
    await signIn(of, alice)
    expect(groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
    await pass(20_000)
    okta.removeMember('Engineering', alice)
    await pass(11_000)
    expect(groupsOf(of, alice)).toEqual(['Everyone'])
    await pass(70 * MINUTE)
    expect(of.metrics().feed?.lastError).toBeUndefined()
  })
})

describe('event hooks', () => {
  const event = (eventType: string, user: string, group?: string, uuid = `${eventType} ${clock.now()}`) => ({
    uuid,
    published: new Date(clock.now()).toISOString(),
    eventType,
    outcome: { result: 'SUCCESS', reason: null },
    target: [
      { id: user, type: 'User', alternateId: 'x', displayName: 'x' },
      ...(group ? [{ id: group, type: 'UserGroup', alternateId: 'x', displayName: 'x' }] : []),
    ],
  })
  const body = (...events: readonly object[]): string =>
    JSON.stringify({ eventType: 'com.okta.event_hook', data: { events } })
  const SECRET = 'the-secret-of-the-hook'

  test('a removal counts at once, and is asked again', async () => {
    const of = await world()
    await signIn(of, alice)
    await pass(15_000)
    okta.removeMember('Engineering', alice)
    expect(of.hook?.receive(SECRET, body(event('group.user_membership.remove', alice, engineering)))).toBe('ok')
    await settle()
    expect(groupsOf(of, alice)).toEqual(['Everyone'])
    await pass(15_000)
    expect(groupsOf(of, alice)).toEqual(['Everyone'])
  })

  test('what it says without it being so is found out and put right', async () => {
    const of = await world()
    await signIn(of, alice)
    await signIn(of, bob)
    await pass(15_000)
    of.hook?.receive(
      SECRET,
      body(
        event('group.user_membership.remove', alice, engineering),
        event('group.user_membership.add', bob, engineering),
      ),
    )
    await settle()
    expect(groupsOf(of, alice)).toEqual(['Everyone'])
    expect(groupsOf(of, bob)).toEqual(['Everyone', 'Sales'])
    await pass(15_000)
    expect(groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
    expect(groupsOf(of, bob)).toEqual(['Everyone', 'Sales'])
  })

  test('an addition is read at once', async () => {
    const of = await world()
    await signIn(of, bob)
    await pass(15_000)
    okta.addMember('Engineering', bob)
    of.hook?.receive(SECRET, body(event('group.user_membership.add', bob, engineering)))
    await settle()
    expect(groupsOf(of, bob)).toEqual(['Engineering', 'Everyone', 'Sales'])
  })

  test('a delivery to a process that does not lead counts for all, at once', async () => {
    const first = await world()
    const other = await open()
    await signIn(first, alice)
    await pass(15_000)
    okta.removeMember('Engineering', alice)
    expect(other.hook?.receive(SECRET, body(event('group.user_membership.remove', alice, engineering)))).toBe('ok')
    await settle()
    await pass(200)
    expect([first, other].map((of) => groupsOf(of, alice))).toEqual([['Everyone'], ['Everyone']])
    expect(first.metrics().hook?.events).toBe(1)
  })

  test('a wrong secret, no JSON, another shape and too many events are told apart, and nothing happens', async () => {
    const of = await world()
    await signIn(of, alice)
    await pass(5000)
    const removal = event('group.user_membership.remove', alice, engineering)
    expect(of.hook?.receive(undefined, body(removal))).toBe('unauthorized')
    expect(of.hook?.receive('another', body(removal))).toBe('unauthorized')
    expect(of.hook?.receive(SECRET, '{')).toBe('malformed')
    expect(of.hook?.receive(SECRET, '{"data":{"events":{}}}')).toBe('malformed')
    expect(of.hook?.receive(SECRET, 'null')).toBe('malformed')
    expect(of.hook?.receive(SECRET, body(...Array.from({ length: 10_000 }, () => removal)))).toBe('too-large')
    await settle()
    expect(groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
    expect(of.metrics().hook).toEqual({ received: 0, refused: 6, events: 0, skipped: 0 })
  })

  test('the same event again, an odd one and an old one do nothing', async () => {
    const of = await world()
    await signIn(of, alice)
    await pass(15_000)
    const old = {
      ...event('group.user_membership.remove', alice, engineering),
      published: new Date(clock.now() - HOUR).toISOString(),
    }
    expect(of.hook?.receive(SECRET, body(old, { uuid: 'x' }, { ...old, uuid: 'y', target: null }))).toBe('ok')
    expect(of.hook?.receive(SECRET, body(old))).toBe('ok')
    await settle()
    expect(groupsOf(of, alice)).toEqual(['Engineering', 'Everyone'])
  })

  test('a challenge is given back, if it is one', async () => {
    const of = await world()
    expect(of.hook?.verify('Abc-123_x')).toBe('Abc-123_x')
    expect([undefined, '', 'a b', '<script>', 'x'.repeat(501)].map((each) => of.hook?.verify(each))).toEqual(
      Array(5).fill(undefined),
    )
  })
})
