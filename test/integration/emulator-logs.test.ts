import okta from '@okta/okta-sdk-nodejs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'

const TOKEN = '00test-token'
const ADMIN = 'admin@example.com'
const DAY = 24 * 3_600_000

let clock: ManualClock
let emulator: OktaEmulator

beforeEach(async () => {
  clock = manualClock()
  emulator = await createOktaEmulator({
    clock,
    seed: {
      tokens: [{ value: TOKEN, owner: ADMIN }],
      groups: [{ name: 'Engineering' }],
      people: [{ login: 'alice@example.com', groups: ['Engineering'] }, { login: 'bob@example.com' }],
    },
  })
})
afterEach(() => emulator.close())

interface LogPage {
  readonly status: number
  readonly events: readonly {
    readonly uuid: string
    readonly eventType: string
    readonly published: string
    readonly target: readonly { readonly id: string; readonly type: string }[]
    readonly [member: string]: unknown
  }[]
  readonly error: { readonly errorCode: string; readonly errorSummary: string; readonly errorCauses: unknown }
  readonly next: string | undefined
}

async function page(pathOrQuery: string | Record<string, string>, token = TOKEN): Promise<LogPage> {
  const path =
    typeof pathOrQuery === 'string' ? pathOrQuery : `/api/v1/logs?${new URLSearchParams(pathOrQuery).toString()}`
  const response = await fetch(new URL(path, emulator.url), { headers: { authorization: `SSWS ${token}` } })
  const json = await response.json()
  return {
    status: response.status,
    events: json,
    error: json,
    next: /<([^>]+)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1],
  }
}

const types = ({ events }: LogPage): readonly string[] => events.map(({ eventType }) => eventType)
const at = (instant: number): string => new Date(instant).toISOString()

/** One event a second: remove, add, remove… of alice. */
function flap(times: number): void {
  for (let n = 0; n < times; n++) {
    clock.advance(1000)
    const [alice, group] = [emulator.org.findPerson('alice'), emulator.org.findGroup('Engineering')]
    const member = emulator.org.groupsOf(alice?.id ?? '').some(({ id }) => id === group?.id)
    if (member) emulator.removeMember('Engineering', 'alice')
    else emulator.addMember('Engineering', 'alice')
  }
}

describe("Okta's Node SDK", () => {
  const client = (): okta.Client => new okta.Client({ orgUrl: emulator.url, token: TOKEN })

  test('pages through a bounded query to its end', async () => {
    flap(7)
    const found: string[] = []
    const events = await client().systemLogApi.listLogEvents({
      since: at(clock.now() - DAY),
      until: at(clock.now()),
      limit: 3,
      sortOrder: 'ASCENDING',
    })
    await events.each((event) => {
      found.push(event.eventType ?? '')
    })
    expect(found).toHaveLength(7)
    expect(emulator.calls().map(({ status }) => status)).toEqual([200, 200, 200])
  })

  test('subscribes and gets every event once, later ones included', async () => {
    flap(3)
    const heard: string[] = []
    const collection = await client().systemLogApi.listLogEvents({ since: at(clock.now() - DAY), limit: 2 })
    await new Promise<void>((resolve, reject) => {
      const subscription = collection.subscribe({
        interval: 5,
        next(event) {
          heard.push(event.uuid ?? '')
          if (heard.length === 3) flap(2)
          if (heard.length === 5) subscription.unsubscribe()
        },
        error: reject,
        complete: resolve,
      })
    })
    expect(heard).toEqual(emulator.org.history().map(({ uuid }) => uuid))
  })
})

describe('polling', () => {
  test('always gives a next link that continues where the page ended', async () => {
    const empty = await page({ since: at(clock.now()) })
    expect(empty.events).toEqual([])
    flap(3)
    const first = await page(`${empty.next}&limit=2`)
    expect(types(first)).toEqual(['group.user_membership.remove', 'group.user_membership.add'])
    const second = await page(first.next ?? '')
    expect(types(second)).toEqual(['group.user_membership.remove'])
    const third = await page(second.next ?? '')
    expect(third.events).toEqual([])
    flap(1)
    expect(types(await page(third.next ?? ''))).toEqual(['group.user_membership.add'])
    // A cursor may be used again: whoever failed to save the next one repeats the page.
    expect((await page(first.next ?? '')).events.map(({ uuid }) => uuid)).toContain(second.events[0]?.uuid)
  })

  test('gives an event that is stored late, with its old published date', async () => {
    const start = await page({ since: at(clock.now()) })
    emulator.delayEvents({ by: 30_000, eventType: 'group.user_membership.remove', times: 1 })
    flap(2)
    const early = await page(start.next ?? '')
    expect(types(early)).toEqual(['group.user_membership.add'])
    clock.advance(30_000)
    const late = await page(early.next ?? '')
    expect(types(late)).toEqual(['group.user_membership.remove'])
    expect(late.events[0]?.published.localeCompare(early.events[0]?.published ?? '')).toBe(-1)
  })

  test('since is compared with the time of storing, so a late event is found after a restart', async () => {
    emulator.delayEvents({ by: 60_000, times: 1 })
    flap(1)
    clock.advance(30_000)
    const since = at(clock.now())
    clock.advance(30_001)
    expect(types(await page({ since }))).toEqual(['group.user_membership.remove'])
    expect(types(await page({ since, until: at(clock.now()) }))).toEqual([])
  })

  test('moves the cursor also when the filter fits nothing', async () => {
    const start = await page({ since: at(clock.now()), filter: 'eventType eq "user.session.clear"' })
    flap(3)
    const none = await page(start.next ?? '')
    expect(none.events).toEqual([])
    expect(none.next).not.toBe(start.next)
    emulator.endSessions('alice')
    expect(types(await page(none.next ?? ''))).toEqual(['user.session.clear'])
  })

  test('gives cursors that live as long as the log', async () => {
    const { next } = await page({ since: at(clock.now()) })
    clock.advance(20 * DAY)
    flap(1)
    expect((await page(next ?? '')).events).toHaveLength(1)
  })

  test.each([
    ['dropped', () => emulator.dropLogCursors()],
    ['of an org that was reset', () => emulator.reset()],
  ])('a cursor that is %s gets 400, and a new query works', async (_name, spoil) => {
    const { next } = await page({})
    spoil()
    expect(await page(next ?? '')).toMatchObject({
      status: 400,
      error: { errorCode: 'E0000001', errorSummary: 'Api validation failed: after' },
    })
    expect((await page({})).status).toBe(200)
  })
})

describe('bounded queries', () => {
  test('are ordered by published, exclusive of since, and end', async () => {
    const since = at(clock.now() + 1000)
    flap(5)
    const until = at(clock.now() - 1000)
    const first = await page({ since, until, limit: '2' })
    const second = await page(first.next ?? '')
    expect(second.next).toBeUndefined()
    const published = [...first.events, ...second.events].map((event) => event.published)
    expect(published).toHaveLength(3)
    expect(published.toSorted()).toEqual(published)
    const newest = await page({ since, sortOrder: 'DESCENDING', limit: '1' })
    expect(newest.events[0]?.published).toBe(at(clock.now()))
    const before = await page(newest.next ?? '')
    expect(before.events[0]?.published).toBe(at(clock.now() - 1000))
  })

  test('7 days without since; nothing older than 90 days whatever is asked', async () => {
    flap(1)
    clock.advance(8 * DAY)
    expect((await page({})).events).toEqual([])
    expect((await page({ since: at(clock.now() - 30 * DAY) })).events).toHaveLength(1)
    for (let weeks = 0; weeks < 12; weeks++) {
      clock.advance(7 * DAY)
      // An API token that nobody uses for a month dies.
      await page({})
    }
    expect((await page({ since: at(clock.now() - 179 * DAY) })).events).toEqual([])
  })
})

describe('refusals', () => {
  test.each([
    [{ limit: '1001' }, 'E0000001', 'Api validation failed: limit'],
    [{ limit: '-1' }, 'E0000001', 'Api validation failed: limit'],
    [{ since: 'yesterday' }, 'E0000001', 'Api validation failed: since'],
    [{ since: at(Date.UTC(2025, 0)) }, 'E0000001', 'Api validation failed: since'],
    [{ since: '2026-11-20T12:00:00Z', until: '2026-11-20T11:00:00Z' }, 'E0000001', 'Api validation failed: since'],
    [{ sortOrder: 'UP' }, 'E0000001', 'Api validation failed: sortOrder'],
    [{ after: 'made-up' }, 'E0000001', 'Api validation failed: after'],
    [{ q: 'x'.repeat(41) }, 'E0000001', 'Api validation failed: q'],
    [{ filter: 'published gt "2026-11-20T12:00:00Z"' }, 'E0000053', 'Invalid SCIM filter.'],
    [{ filter: 'eventType eq' }, 'E0000053', 'Invalid SCIM filter.'],
    [{ filter: '__proto__ eq "x"' }, 'E0000053', 'Invalid SCIM filter.'],
  ])('%j', async (query, errorCode, errorSummary) => {
    expect(await page(query)).toMatchObject({ status: 400, error: { errorCode, errorSummary } })
  })

  test('a role that may not read the log is 403', async () => {
    const ownerId = emulator.org.findPerson(ADMIN)?.id ?? ''
    emulator.org.addToken({ value: 'group-admin', ownerId, role: 'GROUP_MEMBERSHIP_ADMIN' })
    emulator.org.addToken({ value: 'reader', ownerId, role: 'READ_ONLY_ADMIN' })
    expect(await page({}, 'group-admin')).toMatchObject({ status: 403, error: { errorCode: 'E0000006' } })
    expect((await page({}, 'reader')).status).toBe(200)
  })

  test('limit 0 gives an empty page with a cursor', async () => {
    flap(1)
    const { events, next } = await page({ limit: '0' })
    expect(events).toEqual([])
    expect((await page(next?.replace('limit=0', 'limit=10') ?? '')).events).toHaveLength(1)
  })

  test('counts against a bucket of its own', async () => {
    await page({})
    expect(emulator.buckets().map(({ bucket, limit }) => [bucket, limit])).toEqual([
      ['/api/v1/logs', 120],
      ['/api/v1/logs', 60],
    ])
  })
})

describe('events', () => {
  test.each([
    ['eventType sw "user.lifecycle."', ['user.lifecycle.suspend']],
    [
      'eventType eq "user.session.clear" or eventType co "membership"',
      ['group.user_membership.remove', 'user.session.clear'],
    ],
    ['not (eventType sw "user.") and outcome.result eq "SUCCESS"', ['group.user_membership.remove']],
    ['eventType ne "user.session.clear" and target.type eq "UserGroup"', ['group.user_membership.remove']],
    ['target.alternateId eq "alice@example.com" and actor.type eq "SystemPrincipal"', 'all'],
    ['legacyEventType pr and severity eq "INFO"', 'all'],
  ])('%s', async (filter, expected) => {
    emulator.removeMember('Engineering', 'alice')
    emulator.setStatus('alice', 'SUSPENDED')
    emulator.endSessions('alice')
    const all = ['group.user_membership.remove', 'user.lifecycle.suspend', 'user.session.clear']
    expect(types(await page({ filter }))).toEqual(expected === 'all' ? all : expected)
    expect(types(await page({ q: 'ALICE okta' }))).toEqual(all)
    expect(types(await page({ q: 'bob' }))).toEqual([])
  })

  test('have the documented shape, and name deleted groups and people', async () => {
    const group = emulator.org.findGroup('Engineering')
    const alice = emulator.org.findPerson('alice')
    emulator.removeMember('Engineering', 'alice')
    emulator.org.deleteGroup(group?.id ?? '')
    const { events } = await page({})
    expect(events[0]).toMatchObject({
      uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      published: at(clock.now()),
      eventType: 'group.user_membership.remove',
      version: '0',
      displayMessage: 'Remove user from group membership',
      severity: 'INFO',
      legacyEventType: 'core.user_group_member.user_remove',
      outcome: { result: 'SUCCESS', reason: null },
      request: { ipChain: [{ ip: '127.0.0.1' }] },
    })
    expect(events[0]?.target).toHaveLength(2)
    expect(events[0]?.target).toEqual(
      expect.arrayContaining([
        {
          id: alice?.id,
          type: 'User',
          alternateId: 'alice@example.com',
          displayName: 'Alice Example',
          detailEntry: null,
        },
        { id: group?.id, type: 'UserGroup', alternateId: 'unknown', displayName: 'Engineering', detailEntry: null },
      ]),
    )
    expect(events[1]).toMatchObject({ eventType: 'group.lifecycle.delete', target: [{ id: group?.id }] })
  })

  test('an import has one event type for both directions, and an event at its end', async () => {
    const app = emulator.addApp({ label: 'Active Directory', redirectUris: [] })
    emulator.addGroup({ name: 'AD admins', type: 'APP_GROUP', sourceAppId: app.id })
    emulator.importMemberships('AD admins', { add: ['alice', 'bob'] })
    emulator.importMemberships('AD admins', { remove: ['alice'] })
    const { events } = await page({})
    expect(events.map(({ eventType, legacyEventType }) => [eventType, legacyEventType])).toEqual([
      ['system.import.group.create', null],
      ['app.user_management', 'app.user_management.app_group_member_import.insert_success'],
      ['app.user_management', 'app.user_management.app_group_member_import.insert_success'],
      ['system.import.group_membership.complete', null],
      ['app.user_management', 'app.user_management.app_group_member_import.delete_success'],
      ['system.import.group_membership.complete', null],
    ])
    expect(events[1]?.target.map(({ type }) => type).toSorted()).toEqual(['AppInstance', 'User', 'UserGroup'])
    expect(() => emulator.importMemberships('Engineering', {})).toThrow('group "Engineering" is not imported')
  })

  test('every change that ends access has an event', async () => {
    const app = emulator.addApp({ label: 'Wiki', redirectUris: [] })
    emulator.assignApp(app.id, 'alice')
    emulator.unassignApp(app.id, 'alice')
    emulator.assignApp(app.id, 'Engineering')
    emulator.unassignApp(app.id, 'Engineering')
    emulator.setStatus('alice', 'LOCKED_OUT')
    emulator.setStatus('alice', 'DEPROVISIONED')
    emulator.org.deletePerson(emulator.org.findPerson('alice')?.id ?? '')
    expect(types(await page({}))).toEqual([
      'application.user_membership.add',
      'application.user_membership.remove',
      'group.application_assignment.add',
      'group.application_assignment.remove',
      'user.account.lock',
      'user.lifecycle.deactivate',
      'user.lifecycle.delete.initiated',
      'user.lifecycle.delete.completed',
    ])
  })
})

describe('indexes', () => {
  const since = encodeURIComponent(`"${at(Date.UTC(2026, 10, 20, 12))}"`)
  const names = async (query: string): Promise<readonly string[]> => {
    const response = await fetch(`${emulator.url}/api/v1/${query}`, { headers: { authorization: `SSWS ${TOKEN}` } })
    const items: readonly { readonly profile: { readonly name?: string; readonly login?: string } }[] =
      await response.json()
    return items.map(({ profile }) => profile.name ?? profile.login ?? '')
  }

  test('filter sees a change after its lag, search later, a read at once', async () => {
    emulator.indexLag({ filter: 1000, search: 720_000 })
    flap(1)
    const delta = `lastUpdated%20gt%20${since}%20or%20lastMembershipUpdated%20gt%20${since}`
    expect(await names(`groups?filter=${delta}`)).toEqual([])
    clock.advance(1000)
    expect(await names(`groups?filter=${delta}`)).toEqual(['Engineering'])
    expect(await names(`groups?search=${delta}`)).toEqual([])
    clock.advance(719_000)
    expect(await names(`groups?search=${delta}`)).toEqual(['Engineering'])
  })

  test('of two changes in one lag each is seen after its own lag', async () => {
    emulator.indexLag({ filter: 10_000, search: 10_000 })
    clock.advance(1000)
    emulator.setStatus('alice', 'SUSPENDED')
    clock.advance(6000)
    emulator.setStatus('alice', 'ACTIVE')
    expect(await names('users?filter=status%20eq%20%22SUSPENDED%22')).toEqual([])
    clock.advance(4000)
    expect(await names('users?filter=status%20eq%20%22SUSPENDED%22')).toEqual(['alice@example.com'])
    clock.advance(6000)
    expect(await names('users?filter=status%20eq%20%22SUSPENDED%22')).toEqual([])
  })

  test('a new person is in the plain list before any index', async () => {
    emulator.indexLag({ filter: 1000, search: 1000 })
    emulator.addUser({ login: 'carol@example.com' })
    expect(await names('users')).toContain('carol@example.com')
    expect(await names('users?filter=status%20eq%20%22ACTIVE%22')).not.toContain('carol@example.com')
    clock.advance(1000)
    expect(await names('users?filter=status%20eq%20%22ACTIVE%22')).toContain('carol@example.com')
  })

  test('filter by lastUpdated gives people changed since, deactivated ones included', async () => {
    clock.advance(1000)
    emulator.setStatus('bob', 'DEPROVISIONED')
    expect(await names(`users?filter=lastUpdated%20gt%20${since}`)).toEqual(['bob@example.com'])
    expect(await names(`users?filter=lastUpdated%20lt%20${since}`)).toEqual([])
  })
})
