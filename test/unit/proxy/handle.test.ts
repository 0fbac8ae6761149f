/** The request path without sockets: what one exchange is answered with, and what ends it. */
import { headerLines, listOf } from '../../../src/http/header-lines.ts'
import { Writable } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import type { Route } from '../../../src/config/route-model.ts'
import type { UserStatus } from '../../../src/directory/model.ts'
import { AppError } from '../../../src/errors.ts'
import type {
  Authenticator,
  Exchange,
  Forwarder,
  ForwardOutcome,
  Generation,
  OpenStream,
  RequestFacts,
  ResponseHead,
  StreamRegistry,
} from '../../../src/http/exchange.ts'
import { personKey } from '../../../src/lib/person.ts'
import type { Asker, Criterion, Principal } from '../../../src/policy/model.ts'
import type { Grant } from '../../../src/policy/verdict.ts'
import type { Progress } from '../../../src/proxy/access-log.ts'
import { createHandle } from '../../../src/proxy/handle.ts'
import { RequestHeaders } from '../../../src/routing/header-view.ts'
import { createRouteTable } from '../../../src/routing/table.ts'
import { manualClock } from '../../support/clock.ts'
import { facts as factsOf, NAMING, principal, route as routeOf } from '../upstream/support.ts'

const SIGNED_IN = { policy: { kind: 'signed-in' } } as const
const UPSTREAM = 'http://127.0.0.1:1'

function somebody(subject: string): Principal {
  const identity = { issuer: 'https://idp.test', subject, claims: {} }
  return principal({ person: personKey(identity), identity, sessionId: `session of ${subject}` })
}

/** A policy that allows what one criterion does. */
function criterion(name: string, test: Criterion['test']) {
  const one: Criterion = {
    name,
    needs: 'nothing',
    ok: 'accept',
    no: 'no-rule-matched',
    describe: name,
    wantedGroups: [],
    namedGroups: [],
    test,
  }
  return { policy: { kind: 'rules', allow: [{ op: 'and', criteria: [one] }], deny: [] } } as const
}

const AUTHORIZED = new RequestHeaders(headerLines(['Authorization', 'Bearer secret', 'X-Other', 'other']), new Set())

const knows = (who: ReturnType<Authenticator['identify']>): Authenticator => ({ identify: () => who })

interface World {
  routes: readonly Route[]
  authenticators: readonly Authenticator[]
}

/** One handle; `world` may change between requests, as a reload does. */
function proxy(world: World) {
  const clock = manualClock()
  const streams = new Set<OpenStream>()
  const statuses: { ann: UserStatus } = { ann: 'active' }
  const lines: { readonly progress: Progress; readonly error: string | undefined }[] = []
  const outcomes: ForwardOutcome[] = []
  const forwarder: { forward: Forwarder['forward'] } = {
    forward: (_, __, outcome) => outcome.failed(new AppError('ERR_INTERNAL', 'nobody asked')),
  }
  const generation = (): Generation =>
    ({
      forwarder,
      live: { naming: NAMING, pages: { productName: 'Postern' } },
      parse: (request: RequestFacts) => request,
      authenticators: world.authenticators,
      routes: createRouteTable(
        {
          authenticateServiceUrl: new URL('http://authenticate.test'),
          authenticateCallbackPath: '/oauth2/callback',
          services: 'all',
        },
        { routes: world.routes, naming: NAMING, publicHealthPaths: [] },
      ),
      enter: () => {},
      leave: () => {},
    }) as unknown as Generation
  const handle = createHandle({
    generation,
    directory: { membership: () => 'unknown', status: () => statuses.ann, trouble: () => undefined },
    streams: {
      add(stream: OpenStream) {
        streams.add(stream)
        return { leave: () => streams.delete(stream) }
      },
    } as unknown as StreamRegistry,
    control: () => Promise.resolve({ status: 200, headers: [], body: 'control' }),
    startSignIn: async (_, returnTo) => ({
      status: 302,
      headers: [['location', `sign-in?${returnTo}`]],
      body: '',
    }),
    accessLog: (progress, _, error) => lines.push({ progress, error: error?.message }),
    clock,
  })

  /** `whileOpen` runs while the exchange is forwarded. */
  async function ask(over: Partial<RequestFacts> = {}, whileOpen: () => void | Promise<void> = () => {}) {
    const heads: ResponseHead[] = []
    const grants: Grant[] = []
    const pieces: Buffer[] = []
    const out = new Writable({ write: (piece: Buffer, _, done) => (pieces.push(piece), done()) })
    // What `parse` above takes for the facts.
    const head = factsOf({ wants: 'html', ...over })
    const exchange = {
      head,
      closed: false,
      onClosed: (listener: () => void) => out.once('close', listener),
      respond(answer: ResponseHead) {
        heads.push(answer)
        return out
      },
      abort: () => {},
    } as unknown as Exchange
    forwarder.forward = (grant, _, outcome) => {
      grants.push(grant)
      outcomes.push(outcome)
      const answered = { status: 200, upstream: UPSTREAM, upstreamMs: 0, bytesIn: 0, bytesOut: 0 }
      const open = whileOpen()
      if (open instanceof Promise) void open.then(() => outcome.forwarded(answered))
      else outcome.forwarded(answered)
    }
    await handle(exchange)
    // Answered by us exactly when nothing was passed on.
    expect(heads).toHaveLength(grants.length === 0 || lines.at(-1)?.error !== undefined ? 1 : 0)
    const [answer] = heads
    const headers = listOf(answer?.headers ?? '')
    const header = (name: string) => headers[headers.indexOf(name) + 1]
    return {
      status: answer?.status,
      headers,
      location: headers.includes('location') ? header('location') : undefined,
      body: Buffer.concat(pieces).toString(),
      grant: grants[0],
    }
  }

  return { ask, streams, lines, outcomes, statuses }
}

const forward = (over: Parameters<typeof routeOf>[1] = {}): Route => routeOf(UPSTREAM, over)

test('a route that redirects: the granted request is, and nothing is forwarded', async () => {
  const moved: Route = {
    ...forward(SIGNED_IN),
    action: { kind: 'redirect', status: 308, host: 'new.test' },
  }
  const { ask, lines } = proxy({ routes: [moved], authenticators: [knows(somebody('ann'))] })
  expect(await ask({ path: '/a', query: '?b=%2F' })).toMatchObject({
    status: 308,
    location: 'http://new.test/a?b=%2F',
    grant: undefined,
  })
  expect(await ask({ wants: 'upgrade', origin: 'http://evil.test' })).toMatchObject({ status: 308, grant: undefined })
  expect(lines[0]?.progress.decision?.outcome).toBe('allow')
})

test('a route that responds: the granted request gets the answer of the configuration', async () => {
  const fixed: Route = { ...forward(SIGNED_IN), action: { kind: 'respond', status: 410, body: 'gone\n' } }
  const { ask } = proxy({ routes: [fixed], authenticators: [knows(somebody('ann'))] })
  expect(await ask()).toMatchObject({ status: 410, body: 'gone\n', grant: undefined })
})

test('a route that responds: headers that it sets stand in its answer instead of ours', async () => {
  const fixed: Route = {
    ...forward(SIGNED_IN),
    setResponseHeaders: new Map([
      ['content-type', 'application/json'],
      ['x-robots-tag', 'noindex'],
    ]),
    action: { kind: 'respond', status: 200, body: '{}' },
  }
  const { ask } = proxy({ routes: [fixed], authenticators: [knows(somebody('ann'))] })
  const { headers } = await ask()
  expect(headers.filter((_, i) => ['content-type', 'x-robots-tag'].includes(headers[i - (i % 2)] ?? ''))).toEqual([
    'content-type',
    'application/json',
    'x-robots-tag',
    'noindex',
  ])
})

test('a route that redirects or responds: who may not have it learns neither address nor answer', async () => {
  const secret = 'secret.test'
  const moved: Route = {
    ...forward(SIGNED_IN),
    action: { kind: 'redirect', status: 302, host: secret, query: '' },
  }
  const { ask } = proxy({ routes: [moved], authenticators: [] })
  expect(await ask()).toMatchObject({ status: 302, location: 'sign-in?http://app.test/' })
  const refused = await ask({ wants: 'json' })
  expect(refused.status).toBe(401)
  expect(JSON.stringify(refused)).not.toContain(secret)
})

test('credentials of two people in one request: 400, nothing is forwarded, and the log says so', async () => {
  const ann = somebody('ann')
  const orders = [
    [knows(ann), knows(somebody('bob'))],
    [knows(Promise.resolve(ann)), knows(somebody('bob'))],
    [knows(ann), knows(Promise.resolve(somebody('bob')))],
    [knows(undefined), knows(Promise.resolve(ann)), knows(undefined), knows(somebody('bob'))],
  ]
  for (const authenticators of orders) {
    const { ask, lines } = proxy({ routes: [forward(SIGNED_IN)], authenticators })
    for (const wants of ['html', 'json', 'upgrade'] as const) {
      expect(await ask({ wants })).toMatchObject({ status: 400, grant: undefined })
      expect(lines.at(-1)?.error).toBe('credentials of two people: session and session')
    }
  }
})

test('two issuers make two people of one subject', async () => {
  const other = { issuer: 'https://other.test', subject: 'ann', claims: {} }
  const same = principal({ person: personKey(other), identity: other })
  const { ask } = proxy({ routes: [forward(SIGNED_IN)], authenticators: [knows(somebody('ann')), knows(same)] })
  expect((await ask()).status).toBe(400)
})

test('two credentials of one person: the first counts', async () => {
  const first = somebody('ann')
  const again = { ...somebody('ann'), sessionId: 'another session' }
  for (const authenticators of [
    [knows(first), knows(again)],
    [knows(undefined), knows(Promise.resolve(first)), knows(again)],
  ]) {
    const { ask } = proxy({ routes: [forward(SIGNED_IN)], authenticators })
    expect((await ask()).grant?.principal).toBe(first)
  }
})

test('a consumed credential: rules and the application do not see it, also beside the session of the same person', async () => {
  const ann = somebody('ann')
  const shown: Principal = { ...ann, kind: 'token', tokenId: 't1', scopes: [], groupsFrom: 'directory', consumed: true }
  const asksForIt = criterion(
    'http_header/authorization',
    ({ request }) => request.headers.get('authorization') === undefined,
  )
  for (const authenticators of [[knows(shown)], [knows(ann), knows(shown)], [knows(shown), knows(ann)]]) {
    const { ask, streams } = proxy({ routes: [forward(asksForIt)], authenticators })
    let allowed: boolean | undefined
    const { grant } = await ask({ authorization: 'Bearer secret', headers: AUTHORIZED }, () => {
      allowed = [...streams][0]?.stillAllowed()
    })
    expect(grant?.request).toMatchObject({ authorization: undefined, consumed: true })
    expect(grant?.request.headers.get('x-other')).toBe('other')
    expect(allowed).toBe(true)
  }
  const { ask } = proxy({ routes: [forward(SIGNED_IN)], authenticators: [knows(ann)] })
  const kept = await ask({ authorization: 'Bearer of the application', headers: AUTHORIZED })
  expect(kept.grant?.request.authorization).toBe('Bearer of the application')
  expect(kept.grant?.request.headers.get('authorization')).toBe('Bearer secret')
})

test.each([
  ['invalid_token', 401, 'token-invalid'],
  ['insufficient_scope', 403, 'token-scope'],
] as const)('a bad token, %s: %i with a challenge, and no sign-in for a navigation', async (error, status, reason) => {
  const bad = knows({ kind: 'bad-token', error, detail: 'no such token' })
  const everybody = criterion('accept', () => true)
  for (const policy of [SIGNED_IN, everybody]) {
    const { ask, lines } = proxy({ routes: [forward(policy)], authenticators: [bad] })
    for (const wants of ['json', 'upgrade', 'html'] as const) {
      const { headers, grant, ...answer } = await ask({ wants })
      expect({ ...answer, grant }).toMatchObject({ status, location: undefined, grant: undefined })
      expect(headers[headers.indexOf('www-authenticate') + 1]).toBe(
        `Bearer realm="http://app.test", error="${error}", resource_metadata="http://app.test/.postern/oauth-protected-resource"`,
      )
      expect(answer.body).toContain(wants === 'html' ? '<!doctype html>' : `{"error":"${error}","reason":"${reason}"`)
    }
    expect(lines[0]?.progress).toMatchObject({ detail: 'no such token', decision: { reasons: [reason] } })
  }
  const beside = proxy({ routes: [forward(SIGNED_IN)], authenticators: [knows(somebody('ann')), bad] })
  expect((await beside.ask()).grant?.principal?.identity.subject).toBe('ann')
  const open = proxy({
    routes: [forward({ policy: { kind: 'public', identity: 'optional' } })],
    authenticators: [bad],
  })
  expect((await open.ask()).grant).toBeDefined()
})

test('what a token says of groups is not asked of the directory again', async () => {
  const who: Principal = {
    ...somebody('ci'),
    kind: 'service',
    account: 'ci',
    tokenId: 't1',
    consumed: true,
  }
  const { ask, streams, statuses } = proxy({ routes: [forward(SIGNED_IN)], authenticators: [knows(who)] })
  statuses.ann = 'inactive'
  let allowed: boolean | undefined
  await ask({}, () => {
    const [stream] = streams
    allowed = stream?.stillAllowed()
    expect(stream?.credential).toBe('t1')
  })
  expect(allowed).toBe(true)
})

test('whoever has a stream open can be asked for again: here, gone, somebody else, or not to be known now', async () => {
  let now: () => Asker | Promise<Asker> = () => somebody('ann')
  const OPTIONAL = { policy: { kind: 'public', identity: 'optional' } } as const
  for (const route of [forward(SIGNED_IN), forward(OPTIONAL)]) {
    now = () => somebody('ann')
    const { ask, streams } = proxy({ routes: [route], authenticators: [{ identify: () => now() }] })
    await ask({}, async () => {
      const [stream] = streams
      expect(await stream?.stillKnown()).toBe(true)
      now = () => Promise.resolve(undefined)
      expect(await stream?.stillKnown()).toBe(false)
      now = () => somebody('bob')
      expect(await stream?.stillKnown()).toBe(false)
      now = () => ({ kind: 'bad-token', error: 'invalid_token', detail: 'revoked' })
      expect(await stream?.stillKnown()).toBe(false)
      now = () => Promise.reject(new AppError('ERR_STORE_UNAVAILABLE', 'disk'))
      await expect(stream?.stillKnown()).rejects.toThrow('disk')
    })
  }
})

test('a public route asks no authenticator, and an upgrade takes the same steps as a request', async () => {
  const identify = vi.fn(() => somebody('ann'))
  const world: World = { routes: [forward()], authenticators: [{ identify }] }
  const { ask } = proxy(world)
  expect((await ask()).grant).toBeDefined()
  expect((await ask({ wants: 'upgrade' })).grant).toBeDefined()
  expect(identify).not.toHaveBeenCalled()
  world.routes = [forward(SIGNED_IN)]
  expect((await ask({ wants: 'upgrade' })).grant?.principal).toBeDefined()
  expect(identify).toHaveBeenCalledOnce()
})

describe('a public route with `identity: optional`', () => {
  const OPTIONAL = { policy: { kind: 'public', identity: 'optional' } } as const

  test('is granted to whoever is known, and to nobody', async () => {
    const world: World = { routes: [forward(OPTIONAL)], authenticators: [knows(somebody('ann'))] }
    const { ask } = proxy(world)
    expect((await ask()).grant?.principal?.identity.subject).toBe('ann')
    world.authenticators = [knows(undefined)]
    const { grant } = await ask()
    expect(grant).toBeDefined()
    expect(grant?.principal).toBeUndefined()
  })

  test.each<[what: string, authenticators: readonly Authenticator[], problem: string]>([
    ['fails', [{ identify: () => Promise.reject(new AppError('ERR_STORE_UNAVAILABLE', 'disk')) }], 'disk'],
    [
      'throws',
      [
        {
          identify() {
            throw new AppError('ERR_STORE_CORRUPT', 'record')
          },
        },
      ],
      'record',
    ],
    ['finds two people', [knows(somebody('ann')), knows(somebody('bob'))], 'credentials of two people'],
  ])('tells the application of nobody when the check of a credential %s, and the log why', async (_, all, problem) => {
    const { ask, lines } = proxy({ routes: [forward(OPTIONAL)], authenticators: all })
    const { grant } = await ask()
    expect(grant).toBeDefined()
    expect(grant?.principal).toBeUndefined()
    expect(lines[0]?.progress.unidentified?.message).toContain(problem)
  })

  test('a stream of somebody who was deactivated ends; one of nobody stays', async () => {
    const world: World = { routes: [forward(OPTIONAL)], authenticators: [knows(somebody('ann'))] }
    const { ask, streams, statuses } = proxy(world)
    const allowed: boolean[] = []
    const look = (): void => {
      for (const stream of streams) allowed.push(stream.stillAllowed())
    }
    await ask({ wants: 'upgrade' }, look)
    statuses.ann = 'inactive'
    await ask({ wants: 'upgrade' }, look)
    world.authenticators = [knows(undefined)]
    await ask({ wants: 'upgrade' }, look)
    expect(allowed).toEqual([true, false, true])
  })
})

test('an authenticator that fails is a fault of ours, never a sign-in', async () => {
  const broken: Authenticator = { identify: () => Promise.reject(new Error('disk')) }
  const { ask } = proxy({ routes: [forward(SIGNED_IN)], authenticators: [broken] })
  expect(await ask({ wants: 'json' })).toMatchObject({ status: 500, grant: undefined })
})

test.each<[what: string, before: Route, after: readonly Route[], stays: boolean]>([
  ['unchanged', forward(SIGNED_IN), [forward(SIGNED_IN)], true],
  ['gone', forward(SIGNED_IN), [], false],
  ['gone though it was public', forward(), [], false],
  ['public no more', forward(), [forward(SIGNED_IN)], false],
  ['public now', forward(SIGNED_IN), [forward()], true],
  ['without WebSockets', forward(), [forward({ allowWebsockets: false })], false],
  [
    'one that redirects',
    forward(SIGNED_IN),
    [{ ...forward(SIGNED_IN), action: { kind: 'respond', status: 200, body: '' } }],
    false,
  ],
])('a stream that is open when its route is %s', async (_, before, after, stays) => {
  const world: World = { routes: [before], authenticators: [knows(somebody('ann'))] }
  const { ask, streams } = proxy(world)
  const allowed: boolean[] = []
  const { grant } = await ask({ wants: 'upgrade' }, () => {
    world.routes = after
    for (const stream of streams) allowed.push(stream.stillAllowed())
  })
  expect(grant).toBeDefined()
  expect(allowed).toEqual([stays])
  expect(streams.size).toBe(0)
})

test('a tunnel of another protocol ends when its route allows it no more; a request that only offered it stays', async () => {
  const spdy = forward({ ...SIGNED_IN, allowUpgrades: ['spdy/3.1'] })
  const world: World = { routes: [spdy], authenticators: [knows(somebody('ann'))] }
  const { ask, streams } = proxy(world)
  const allowed: boolean[] = []
  const look = (after: Route) => (): void => {
    for (const routes of [world.routes, [after]]) {
      world.routes = routes
      for (const stream of streams) allowed.push(stream.stillAllowed())
    }
  }
  await ask({ wants: 'json', upgradeTo: 'spdy/3.1' }, look(forward(SIGNED_IN)))
  await ask({ wants: 'json', upgradeTo: 'spdy/3.1' }, look(forward(SIGNED_IN)))
  expect(allowed).toEqual([true, false, true, true])
})

test('a forwarder that throws is a fault with one answer and one line, and its stream has left', async () => {
  const world = proxy({ routes: [forward(SIGNED_IN)], authenticators: [knows(somebody('ann'))] })
  const { status, grant } = await world.ask({ wants: 'json' }, () => {
    throw new TypeError('no such route')
  })
  expect([status, grant]).toMatchObject([500, { request: { wants: 'json' } }])
  expect(world.lines.map(({ error }) => error)).toEqual(['no such route'])
  expect(world.streams.size).toBe(0)
})

test('what is told after the outcome changes nothing', async () => {
  const world = proxy({ routes: [forward(SIGNED_IN)], authenticators: [knows(somebody('ann'))] })
  await world.ask({ wants: 'json' })
  const [late] = world.outcomes
  late?.failed(new AppError('ERR_UPSTREAM_RESET', 'late'))
  late?.forwarded({ status: 200, upstream: UPSTREAM, upstreamMs: 0, bytesIn: 0, bytesOut: 0 })
  expect(world.outcomes).toHaveLength(1)
  expect(world.lines).toHaveLength(1)
})
