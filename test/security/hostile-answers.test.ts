/** Whatever a dependency answers: a value or an AppError, after bounded work, and nothing else in the process is touched. */
import * as fc from 'fast-check'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { createOktaClient } from '../../src/directory/okta/client.ts'
import { isLogEvent, signalsOf } from '../../src/directory/okta/events.ts'
import { nextPage } from '../../src/directory/okta/link.ts'
import { createOktaLog } from '../../src/directory/okta/log.ts'
import { createFeedTable } from '../../src/directory/okta/position.ts'
import { createReconcile } from '../../src/directory/okta/reconcile.ts'
import { createOktaSource } from '../../src/directory/okta/source.ts'
import { createDirectoryTable } from '../../src/directory/records.ts'
import { createGroupsTable, olderGroupsTable } from '../../src/directory/scim/group.ts'
import { createMembersTable } from '../../src/directory/scim/members.ts'
import { createUsersTable, olderUsersTable } from '../../src/directory/scim/user.ts'
import { AppError } from '../../src/errors.ts'
import { groupsFromClaims, mergeClaims, toIdentity } from '../../src/identity/claims.ts'
import { createOidcProvider } from '../../src/identity/oidc.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { isoTime, sourceTime, wallTime } from '../../src/lib/time.ts'
import { sessionsTable } from '../../src/session/tables.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { Clock, JsonObject, Table } from '../../src/types.ts'
import { CLIENT_ID, type HostileIdp, json as answerJson, startHostileIdp } from '../integration/identity/hostile-idp.ts'
import { manualClock } from '../support/clock.ts'
import { scimInstance, TOKEN } from '../unit/directory/scim-world.ts'
import { json, type ScriptedOkta, startScriptedOkta } from '../unit/directory/scripted-okta.ts'

afterEach(() => {
  // Nothing that was answered has reached a prototype.
  expect(Object.keys(Object.prototype)).toEqual([])
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
})

const PROTO: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')
const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(PROTO, null, '', -1, 1e308, -1e308, 8.65e15, '\u0000', '\ud800', '__proto__', [], {}, [[]]),
  fc.constantFrom('x'.repeat(1000), '9999-12-31T23:59:59Z', '-271821-04-20T00:00:00.000Z', '+275760-09-13T00:00:00Z'),
  fc.integer({ min: 1, max: 1000 }).map((depth) => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`) as unknown),
)

type Mutation = {
  readonly path: readonly number[]
  readonly kind: 'replace' | 'remove' | 'repeat' | 'rename'
  readonly value: unknown
}
const mutation: fc.Arbitrary<Mutation> = fc.record({
  path: fc.array(fc.nat(20), { minLength: 1, maxLength: 5 }),
  kind: fc.constantFrom('replace', 'remove', 'repeat', 'rename'),
  value: odd,
})

/** A right answer of which some places are wrong. */
function mutated(sample: unknown, mutations: readonly Mutation[]): unknown {
  let copy: unknown = structuredClone(sample)
  // One repeat: repeats of repeats would be millions.
  const last = mutations.findLastIndex(({ kind }) => kind === 'repeat')
  for (const [n, { path, kind, value }] of mutations.entries()) {
    copy = mutate(copy, path, kind === 'repeat' && n !== last ? 'replace' : kind, structuredClone(value))
  }
  return copy
}

function mutate(at: unknown, [step = 0, ...rest]: readonly number[], kind: Mutation['kind'], value: unknown): unknown {
  if (typeof at !== 'object' || at === null) return value
  const keys = Object.keys(at)
  const key = keys[step % Math.max(1, keys.length)]
  if (key === undefined) return value
  const holder = at as Record<string, unknown>
  if (rest.length > 0 && typeof holder[key] === 'object') holder[key] = mutate(holder[key], rest, kind, value)
  else if (kind === 'remove') delete holder[key]
  else if (kind === 'repeat' && Array.isArray(at)) {
    if (at.length < 10) at.push(...Array.from({ length: 300 }, () => holder[key]))
  } else if (kind === 'rename' && !Array.isArray(at))
    holder[`renamed ${JSON.stringify(value)}`.slice(0, 50)] = holder[key]
  else holder[key] = value
  return at
}

const wrong = fc.array(mutation, { minLength: 1, maxLength: 4 })
const answerLike = (sample: unknown) =>
  fc.oneof(
    { weight: 4, arbitrary: wrong.map((mutations) => mutated(sample, mutations)) },
    { weight: 1, arbitrary: odd },
  )

/** The value, or the AppError that it was refused with; anything else fails the test. */
async function outcome(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    expect(error).toBeInstanceOf(AppError)
    expect((error as AppError).code).not.toBe('ERR_INTERNAL')
    return error
  }
}

describe('records of a store, whoever wrote them', () => {
  const now = 1_700_000_000_000
  const identity = { issuer: 'https://idp.example', subject: 'ann', claims: { groups: ['a'] } }
  const session = { id: 'x'.repeat(22), identity, createdAt: now, expiresAt: now, sealedTokens: 's' }
  const user = { id: 'u', userName: 'ann', active: true, emails: [{ value: 'a@b' }], createdAt: now, changedAt: now }
  const group = { id: 'g', displayName: 'A', createdAt: now, changedAt: now, members: ['u', 'u'] }
  const person = {
    source: 'okta',
    status: 'active',
    statusText: 'ACTIVE',
    readAt: now,
    asOf: now,
    groups: [
      ['00g1', 'A'],
      ['00g1', 'B', 'APP_GROUP'],
    ],
    removed: [['00g1', now]],
    added: [[now, '00g1', 'A']],
  }
  const feed = { cursor: '/api/v1/logs?after=1', lastPublished: now, since: now, upTo: now, comparisonDue: false }
  const tables: readonly (readonly [string, Table<unknown>, unknown])[] = [
    ['session', sessionsTable, session],
    ['directory', createDirectoryTable(), person],
    ['feed position', createFeedTable(), feed],
    ['SCIM user', createUsersTable('t'), user],
    ['older SCIM user', olderUsersTable, user],
    ['SCIM group', createGroupsTable('t'), group],
    ['older SCIM group', olderGroupsTable, group],
    ['SCIM membership', createMembersTable('t'), { group: 'g', user: 'u' }],
  ]

  test.each(tables)(
    'parse of a %s record gives a value that can be written again, or undefined',
    (_name, table, sample) => {
      expect(table.parse(structuredClone(sample))).toBeDefined()
      fc.assert(
        fc.property(answerLike(sample), (value) => {
          const parsed = table.parse(JSON.parse(JSON.stringify(value ?? null)))
          if (parsed === undefined) return
          const again = JSON.stringify(table.format ? table.format(parsed) : parsed)
          expect(table.parse(JSON.parse(again))).toBeDefined()
          table.index?.(parsed)
          // Every time in it can be shown.
          for (const [key, at] of Object.entries(parsed as object)) {
            if (typeof at === 'number' && /At$|asOf|upTo|since|lastPublished/i.test(key)) isoTime(wallTime(at))
          }
        }),
        { numRuns: 300 },
      )
    },
  )

  test('a lease that nobody can read is a fault for whoever wants it, not a lease', async () => {
    await fc.assert(
      fc.asyncProperty(odd, async (value) => {
        const store = createMemoryStore({ clock: manualClock() })
        const foreign: Table<unknown> = { name: 'leases', parse: (read) => read }
        await store.put(foreign, 'feed', JSON.parse(JSON.stringify(value ?? null)))
        await outcome(() => store.lease('feed', 1000))
        await store.close()
      }),
      { numRuns: 60 },
    )
  })
})

describe('Okta', () => {
  const still = manualClock()
  /** Whoever waits for a turn or a retry does not wait; no exchange runs into its timeout. */
  const clock: Clock = {
    ...still,
    after(delay, run) {
      if (delay >= 10_000) return () => {}
      const soon = setImmediate(run)
      return () => clearImmediate(soon)
    },
  }
  const ANN = '00u1annAnnAnnAnnAnn1'
  const okta = startScriptedOkta(clock)
  const client = okta.then(({ origin }) =>
    createOktaClient({
      origin,
      credentials: { kind: 'token', token: new Secret('00token') },
      clock,
      timeout: 10_000,
      budget: 1,
    }),
  )
  afterAll(async () => {
    await (await client).close()
    await (await okta).close()
  })
  const signal = new AbortController().signal
  const aGroup = { id: '00g1', type: 'OKTA_GROUP', profile: { name: 'A' }, lastUpdated: '2024-01-01T00:00:00.000Z' }
  const aUser = { id: ANN, status: 'ACTIVE', lastUpdated: '2024-01-01T00:00:00.000Z', profile: { login: 'ann' } }

  /** Each call is answered by the next of the bodies, and names the next page so. */
  function answering(to: ScriptedOkta, bodies: readonly unknown[], links: readonly string[]): void {
    let call = 0
    to.calls.length = 0
    to.answerAll((req, res) => {
      const link = links[call % Math.max(1, links.length)] ?? ''
      const body = bodies[call++ % bodies.length]
      json(200, body, link === '' ? {} : { link: link.replaceAll('SELF', req.url ?? '') })(req, res)
    })
  }

  const path = `/api/v1/users/${ANN}/groups`
  const link = fc.oneof(
    fc.constantFrom(
      '',
      '<SELF>; rel="next"',
      `<${path}?after=1>; rel="next"`,
      `<${path}?after=2>; rel="next"`,
      '<https://evil.example/api/v1/x>; rel="next"',
      '<//evil.example/api/v1/x>; rel=next',
      '</api/v1/../../secret>; rel="next"',
      `${'<'.repeat(3000)}>; rel="next"`,
      `<${path}?a=1>; rel="next", <${path}?a=2>; rel="next"`,
    ),
    fc.string({ unit: 'grapheme-ascii', maxLength: 100 }),
  )

  test('lookup of a person gives an entry, nobody or a fault, after as many calls as the bound of pages', async () => {
    const [to, source] = [await okta, createOktaSource({ client: await client, clock, logger: silentLogger })]
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.constant(aUser), answerLike(aUser)),
        fc.array(answerLike([aGroup, { ...aGroup, profile: { name: 'B' } }]), { minLength: 1, maxLength: 3 }),
        fc.array(link, { maxLength: 3 }),
        async (user, pages, links) => {
          answering(to, [user, ...pages], ['', ...links])
          const entry = await outcome(() => source.lookup(ANN, signal))
          if (entry !== undefined && !(entry instanceof AppError)) expect(entry).toMatchObject({ subject: ANN })
          expect(to.calls.length).toBeLessThanOrEqual(101)
          expect(to.calls.every(({ path: asked }) => asked.startsWith('/api/v1/'))).toBe(true)
        },
      ),
      { numRuns: 120 },
    )
  })

  test('pages that lead in a circle are a fault as soon as one comes again', async () => {
    const [to, source] = [await okta, createOktaSource({ client: await client, clock, logger: silentLogger })]
    const circle = [1, 2, 3].map((n) => `<${path}?after=${n}>; rel="next"`)
    answering(to, [aUser, ...Array.from({ length: 200 }, () => [aGroup])], ['', ...circle, ...circle])
    expect(await outcome(() => source.lookup(ANN, signal))).toMatchObject({ code: 'ERR_DIRECTORY_BAD_ANSWER' })
    expect(to.calls.length).toBeLessThanOrEqual(6)
  })

  test('nextPage gives a path of this origin or a fault, whatever stands in the header', () => {
    fc.assert(
      fc.property(fc.oneof(link, fc.string({ unit: 'binary' })), (header) => {
        try {
          const next = nextPage(header, 'https://org.okta.example')
          if (next !== undefined) expect(next.startsWith('/api/v1/')).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
        }
      }),
    )
  })

  const event = {
    uuid: 'e-1',
    eventType: 'group.user_membership.add',
    published: '2024-01-01T00:00:00.000Z',
    outcome: { result: 'SUCCESS' },
    target: [
      { id: ANN, type: 'User' },
      { id: '00g1', type: 'UserGroup' },
    ],
  }

  test('signalsOf any event gives at most as many signals as an event has targets', () => {
    fc.assert(
      fc.property(answerLike(event), (value) => {
        if (!isLogEvent(value)) return
        const signals = signalsOf(value, { apps: ['app'], now: wallTime(Date.parse('2025-01-01T00:00:00Z')), lead: 0 })
        expect(signals.length).toBeLessThanOrEqual(1001)
        for (const signal of signals) if ('at' in signal) isoTime(signal.at)
      }),
      { numRuns: 300 },
    )
  })

  test('signalsOf an event of 500 people and 500 groups is one comparison, not a quarter of a million signals', () => {
    const target = Array.from({ length: 1000 }, (_, n) => ({ id: `id${n}`, type: n % 2 ? 'User' : 'UserGroup' }))
    const value = { ...event, target }
    expect(isLogEvent(value)).toBe(true)
    expect(signalsOf(value, { apps: ['app'], now: wallTime(Date.now()), lead: 0 })).toEqual([{ kind: 'reconcile' }])
  })

  test('read of the System Log gives a position that can be asked for, or a fault', async () => {
    const to = await okta
    const log = createOktaLog({ client: await client, clock, logger: silentLogger, apps: ['app'] })
    await fc.assert(
      fc.asyncProperty(answerLike([event, event]), fc.array(link, { maxLength: 1 }), async (body, links) => {
        answering(to, [body], links)
        const start = { cursor: undefined, lastPublished: sourceTime(Number(clock.now())) }
        const read = await outcome(() => log.read(start, signal))
        expect(to.calls.length).toBeLessThanOrEqual(4)
        if (read instanceof AppError) return
        const { position } = read as Awaited<ReturnType<typeof log.read>>
        expect(Number(position.lastPublished)).toBeLessThanOrEqual(Number(clock.now()) + 60_000)
        isoTime(position.lastPublished)
      }),
      { numRuns: 120 },
    )
  })

  test('an id that is no id is not asked for, and costs no later call its answer', async () => {
    const to = await okta
    const absorbed: unknown[] = []
    const reconcile = createReconcile({
      client: await client,
      clock,
      logger: silentLogger,
      wanted: () => ['A'],
      directory: { absorb: async (signals) => void absorbed.push(...signals), known: () => [] },
    })
    const ids = [
      '\u0000',
      '\u0000',
      '\u0000',
      'a b',
      '\u00e9',
      '../../v1/users/me',
      'a/b',
      'a?b',
      'a#b',
      '%2e%2e',
      '\ud800',
    ]
    const groups = [...ids.map((id) => ({ ...aGroup, id })), aGroup]
    for (let round = 0; round < 5; round++) {
      to.calls.length = 0
      to.answerAll((req, res) => json(200, req.url?.startsWith('/api/v1/groups?') ? groups : [aUser])(req, res))
      await reconcile.changes('all', clock.now(), signal)
      expect(to.calls.map(({ path: asked }) => asked)).toEqual([
        '/api/v1/users',
        '/api/v1/groups',
        '/api/v1/groups/00g1/users',
      ])
    }
    expect(JSON.stringify(absorbed)).not.toMatch(/u0000|v1|a b/)
    expect(reconcile.skipped()).toBe(5 * ids.length)
  })

  test('comparisons end, and the next one asks from no later than now, whatever dates the lists hold', async () => {
    const to = await okta
    await fc.assert(
      fc.asyncProperty(answerLike([aGroup, aUser]), answerLike([aUser]), async (groups, users) => {
        const absorbed: unknown[] = []
        const reconcile = createReconcile({
          client: await client,
          clock,
          logger: silentLogger,
          wanted: () => ['A'],
          directory: { absorb: async (signals) => void absorbed.push(...signals), known: () => [] },
        })
        for (const _round of [1, 2]) {
          to.calls.length = 0
          to.answerAll((req, res) => json(200, req.url?.startsWith('/api/v1/users') ? users : groups)(req, res))
          await outcome(() => reconcile.catalogue(signal))
          await outcome(() => reconcile.changes('all', clock.now(), signal))
          const dates = to.calls.flatMap(({ query }) => [...(query.get('filter') ?? '').matchAll(/"([^"]*)"/g)])
          for (const [, date = ''] of dates) expect(Date.parse(date)).toBeLessThanOrEqual(Number(clock.now()) + 60_000)
        }
        for (const signal of absorbed)
          if (signal && typeof signal === 'object' && 'at' in signal) isoTime(signal.at as never)
      }),
      { numRuns: 30 },
    )
  })
})

describe('SCIM', () => {
  const member = { value: 'u'.repeat(22), display: 'ann' }
  const bodies = [
    {
      userName: 'ann',
      externalId: '00u',
      active: true,
      emails: [{ value: 'a@b.example', primary: true }],
      name: { givenName: 'A' },
    },
    { displayName: 'A', members: [member, member] },
    {
      Operations: [
        { op: 'add', path: 'members', value: [member] },
        { op: 'remove', path: 'members[value eq "x"]' },
      ],
    },
    { Operations: [{ op: 'replace', value: { active: false, displayName: 'B', members: [member] } }] },
  ]

  test('any body is answered with JSON and no fault of ours, and everybody who was there can be read after it', async () => {
    const clock = manualClock()
    const store = createMemoryStore({ clock })
    const instance = scimInstance({ store, clock })
    const user = (await instance.send('POST', '/Users', { userName: 'known', externalId: 'known' })).body.id
    const group = (await instance.send('POST', '/Groups', { displayName: 'Known', members: [{ value: user }] })).body.id
    const paths = ['/Users', '/Groups', `/Groups/${group}`]
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('POST', 'PUT', 'PATCH', 'GET', 'DELETE'),
        fc.constantFrom(...paths),
        fc.oneof(...bodies.map((body) => answerLike(body).map((value) => JSON.stringify(value) ?? '')), fc.string()),
        fc.record({
          filter: fc.string(),
          startIndex: fc.string(),
          count: fc.string(),
          excludedAttributes: fc.string(),
        }),
        async (method, path, body, query) => {
          if (method === 'DELETE' && path.includes(group)) return
          const request = { method, path, query: new URLSearchParams(query), authorization: `Bearer ${TOKEN}`, body }
          const { status, body: text } = await instance.scim.handle(request)
          expect(status).toBeLessThan(500)
          if (text !== '') JSON.parse(text)
          expect(await instance.look('known')).toMatch(/^active/)
        },
      ),
      { numRuns: 300 },
    )
    await instance.scim.close()
    await store.close()
  })
})

describe('an identity provider', () => {
  let idp: HostileIdp | undefined
  afterEach(() => idp?.close())
  const signal = AbortSignal.timeout(60_000)
  const claims = { iss: 'https://idp.example', sub: 'ann', email: 'a@b.example', email_verified: true, groups: ['A'] }

  test('toIdentity, mergeClaims and groupsFromClaims give a value or ERR_IDP_REJECTED', async () => {
    await fc.assert(
      fc.asyncProperty(answerLike(claims), answerLike(claims), async (left, right) => {
        const [token, userinfo] = [left, right].map((value) => (Object(value) === value ? value : {}) as JsonObject)
        const identity = await outcome(() => toIdentity(mergeClaims(token ?? {}, userinfo ?? {})))
        if (identity instanceof AppError) expect(identity.code).toBe('ERR_IDP_REJECTED')
        const groups = groupsFromClaims(token ?? {}, 'groups')
        if (groups) expect(groups.length).toBeLessThanOrEqual(5000)
      }),
      { numRuns: 300 },
    )
  })

  test('a sign-in ends with an identity or a fault, whatever its documents say, after a bounded number of calls', async () => {
    const metadata = (sample: Record<string, unknown>) => sample
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('metadata', 'keys', 'token', 'userinfo'), wrong, async (document, mutations) => {
        const wrongly = (sample: unknown) => mutated(sample, mutations)
        idp = await startHostileIdp()
        idp.behave({
          metadata: document === 'metadata' ? wrongly : metadata,
          ...(document === 'token' && { token: wrongly }),
          ...(document === 'userinfo' && {
            answers: { userinfo: (_req, res) => answerJson(res, wrongly({ sub: '00u-alice', groups: ['A'] })) },
          }),
          ...(document === 'keys' && {
            answers: {
              keys: (_req, res) =>
                answerJson(res, wrongly({ keys: [{ kty: 'RSA', kid: 'rsa', n: 'AQAB', e: 'AQAB' }] })),
            },
          }),
        })
        const provider = createOidcProvider({
          idp: {
            name: 'default',
            provider: 'okta',
            issuer: idp.issuer,
            clientId: CLIENT_ID,
            clientAuth: { kind: 'post', secret: new Secret('secret') },
            scopes: ['openid'],
            requestParams: {},
            pushedRequests: 'when-possible',
            timeout: 2000,
            allowUnverifiedEmail: false,
          },
          redirectUri: new URL('https://authenticate.example/oauth2/callback'),
          clock: systemClock,
          logger: silentLogger,
        })
        await outcome(async () => {
          const { pending } = await provider.begin(signal)
          if (idp) idp.nonce = pending.nonce
          const callback = new URL(`https://authenticate.example/oauth2/callback?code=c&state=${pending.state}`)
          const { identity } = await provider.complete(callback, pending, signal)
          expect(identity.subject).toBe('00u-alice')
        })
        expect(idp.calls.length).toBeLessThanOrEqual(6)
        await idp.close()
        idp = undefined
      }),
      { numRuns: 80 },
    )
  }, 90_000)
})
