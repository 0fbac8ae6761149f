/** Access and ID tokens of Okta as credentials: a custom authorization server, whose tokens are verified, and the org, which is asked (attack-cases.md J13). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { manualClock } from '../support/clock.ts'
import { CLI_APP, personTokens, programToken, SERVICE_APP } from '../support/okta-tokens.ts'
import { createTestWorld, type World } from '../support/world.ts'

const AUTH = 'http://authenticate.localhost'
const clock = manualClock(Date.now())

function seed() {
  const demo = demoSeed({ redirectUris: [`${AUTH}/oauth2/callback`, 'http://127.0.0.1:1/callback'] })
  const [server] = demo.authorizationServers ?? []
  return {
    ...demo,
    apps: [...(demo.apps ?? []), CLI_APP, SERVICE_APP],
    authorizationServers: [{ ...server, id: 'default', scopes: ['groups', 'wiki.read'] }],
  }
}

const ROUTES = [
  {
    name: 'api',
    from: 'http://api.localhost',
    allowed_groups: ['Engineering'],
    bearer_token_format: 'idp_access_token',
  },
  {
    name: 'any',
    from: 'http://any.localhost',
    allow_any_authenticated_user: true,
    bearer_token_format: 'idp_access_token',
  },
]
const withAudience = (audience: string) => ROUTES.map((route) => ({ ...route, bearer_token_audience: audience }))

async function ask(world: World, host: string, token: string, more: Record<string, string> = {}) {
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json', ...more }
  return world.browser().ask(`http://${host}.localhost/x`, { headers })
}

const lastLine = (world: World): Record<string, unknown> | undefined =>
  world.log().findLast(({ msg }) => msg === 'request')

describe('a custom authorization server', () => {
  let world: World
  let issuer: string
  beforeAll(async () => {
    world = await createTestWorld({
      clock,
      okta: { seed: seed() },
      routes: [
        ...withAudience('api://default'),
        {
          name: 'id',
          from: 'http://id.localhost',
          allowed_groups: ['Engineering'],
          bearer_token_format: 'idp_identity_token',
        },
        {
          name: 'scoped',
          from: 'http://scoped.localhost',
          bearer_token_format: 'idp_access_token',
          bearer_token_audience: 'api://default',
          policy: { allow: { or: [{ scope: 'wiki.read' }, { service_account: 'default/other' }] } },
        },
      ],
    })
    issuer = `${world.okta.url}/oauth2/default`
    await world.restart({ idp_provider_url: issuer })
  })
  afterAll(() => world.close())

  test('names a person by the id, and their groups are live', async () => {
    const { accessToken } = await personTokens(issuer, 'alice@example.com')
    const answer = await ask(world, 'api', accessToken)
    expect(answer.status, answer.body).toBe(200)
    const { headers } = JSON.parse(answer.body) as { headers: Record<string, string> }
    expect(headers).not.toHaveProperty('authorization')
    expect(headers['x-postern-claim-groups']).toContain('Engineering')
    expect(lastLine(world)).toMatchObject({ auth: 'token', user_id: DEMO.people.alice, decision: 'allow' })

    const { accessToken: bobs } = await personTokens(issuer, 'bob@example.com')
    expect((await ask(world, 'api', bobs)).status).toBe(403)
    expect((await ask(world, 'any', bobs)).status).toBe(200)
  })

  test('lets nobody in who left the group, or whose account is suspended', async () => {
    const { accessToken } = await personTokens(issuer, 'alice@example.com')
    expect((await ask(world, 'api', accessToken)).status).toBe(200)
    const statusLater = async (host: string): Promise<number> => {
      clock.advance(2000)
      return (await ask(world, host, accessToken)).status
    }
    world.okta.removeMember('Engineering', 'alice@example.com')
    await expect.poll(() => statusLater('api'), { timeout: 60_000 }).toBe(403)
    expect((await ask(world, 'any', accessToken)).status).toBe(200)
    world.okta.setStatus('alice@example.com', 'SUSPENDED')
    await expect.poll(() => statusLater('any'), { timeout: 60_000 }).toBe(403)
    world.okta.setStatus('alice@example.com', 'ACTIVE')
    world.okta.addMember('Engineering', 'alice@example.com')
    await expect.poll(() => statusLater('api'), { timeout: 60_000 }).toBe(200)
  })

  test('is told to clients that ask where to get a token', async () => {
    for (const [host, expected] of [
      ['api', [issuer]],
      ['id', undefined],
    ] as const) {
      const { body } = await world.browser().ask(`http://${host}.localhost/.postern/oauth-protected-resource`)
      expect((JSON.parse(body) as Record<string, unknown>)['authorization_servers']).toEqual(expected)
    }
  })

  test('names a program by its client id', async () => {
    const token = await programToken(issuer, 'wiki.read')
    expect((await ask(world, 'any', token)).status).toBe(200)
    expect(lastLine(world)).toMatchObject({ auth: 'token', service_account: `default/${SERVICE_APP.id}` })
    expect((await ask(world, 'api', token)).status).toBe(403)
    expect((await ask(world, 'scoped', token)).status).toBe(200)
    const { accessToken } = await personTokens(issuer, 'alice@example.com')
    expect((await ask(world, 'scoped', accessToken)).status).toBe(403)
  })

  test('has its ID tokens taken where a route asks for them, of our client alone', async () => {
    const own = await personTokens(issuer, 'alice@example.com', { clientId: DEMO.clientId, secret: DEMO.clientSecret })
    expect((await ask(world, 'id', own.idToken)).status).toBe(200)
    expect((await ask(world, 'id', own.accessToken)).status).toBe(401)
    expect((await ask(world, 'api', own.idToken)).status).toBe(401)
    const other = await personTokens(issuer, 'alice@example.com')
    expect((await ask(world, 'id', other.idToken)).status).toBe(401)
  })

  test('is not the org: its tokens, and expired ones, count for nothing', async () => {
    const { accessToken } = await personTokens(world.okta.url, 'alice@example.com')
    expect((await ask(world, 'api', accessToken)).status).toBe(401)
    const { accessToken: old } = await personTokens(issuer, 'alice@example.com')
    expect((await ask(world, 'api', old)).status).toBe(200)
    clock.advance(3_661_000)
    expect((await ask(world, 'api', old)).status).toBe(401)
  })

  test('beside the session of the same person is one of them, of somebody else 400', async () => {
    const browser = world.browser()
    await world.signIn(browser, 'http://any.localhost/', 'alice@example.com')
    const { accessToken } = await personTokens(issuer, 'alice@example.com')
    const { accessToken: bobs } = await personTokens(issuer, 'bob@example.com')
    const both = await browser.ask('http://any.localhost/', { headers: { authorization: `Bearer ${accessToken}` } })
    expect(both.status).toBe(200)
    expect(both.body).not.toContain(accessToken)
    expect((await browser.ask('http://any.localhost/', { headers: { authorization: `Bearer ${bobs}` } })).status).toBe(
      400,
    )
  })
})

describe('the org', () => {
  const clock = manualClock(Date.now())
  let world: World
  beforeAll(async () => {
    world = await createTestWorld({
      clock,
      okta: { seed: seed() },
    })
    world.reload({ routes: withAudience(world.okta.url).map((route) => ({ ...route, to: world.upstreamUrl })) })
  })
  afterAll(() => world.close())
  const calls = (): number => world.okta.calls().filter(({ path }) => path.startsWith('/oauth2/v1/introspect')).length
  const own = { clientId: DEMO.clientId, secret: DEMO.clientSecret }
  const tokenOf = async (login: string) => (await personTokens(world.okta.url, `${login}@example.com`, own)).accessToken

  test('is asked about its tokens, once a minute', async () => {
    const accessToken = await tokenOf('alice')
    const before = calls()
    const statuses = await Promise.all(
      Array.from({ length: 10 }, async () => (await ask(world, 'api', accessToken)).status),
    )
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(calls() - before).toBe(1)
    clock.advance(61_000)
    expect((await ask(world, 'api', accessToken)).status).toBe(200)
    expect(calls() - before).toBe(2)
  })
  test('tells the address by userinfo, which an answer about a token lacks', async () => {
    const { body } = await ask(world, 'any', await tokenOf('alice'))
    expect(body).toContain('"x-postern-claim-email":"alice@example.com"')
    const { accessToken } = await personTokens(world.okta.url, 'alice@example.com', { ...own, scope: 'openid' })
    expect((await ask(world, 'any', accessToken)).body).not.toContain('x-postern-claim-email')
  })

  test('says no to a token that was revoked, within a minute', async () => {
    const token = await tokenOf('alice')
    expect((await ask(world, 'any', token)).status).toBe(200)
    const basic = Buffer.from(`${DEMO.clientId}:${DEMO.clientSecret}`).toString('base64')
    const revoked = await fetch(`${world.okta.url}/oauth2/v1/revoke`, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams({ token }),
    })
    expect(revoked.status).toBe(200)
    clock.advance(61_000)
    expect((await ask(world, 'any', token)).status).toBe(401)
  })

  test('says yes to refresh tokens and to those of other apps, which count for nothing', async () => {
    const { refreshToken = '', idToken } = await personTokens(world.okta.url, 'alice@example.com', {
      ...own,
      scope: 'openid offline_access',
    })
    expect(refreshToken).not.toBe('')
    expect((await ask(world, 'any', refreshToken)).status).toBe(401)
    expect((await ask(world, 'any', idToken)).status).toBe(401)
    const { accessToken } = await personTokens(world.okta.url, 'alice@example.com')
    expect((await ask(world, 'any', accessToken)).status).toBe(401)
    expect(lastLine(world)).toMatchObject({ detail: 'token: issued to another client' })
  })

  test('that is down, slow to answer or talks nonsense lets nobody in, and ends no session', async () => {
    const browser = world.browser()
    await world.signIn(browser, 'http://any.localhost/', 'bob@example.com')
    const token = await tokenOf('alice')
    const acts = [
      { kind: 'status', status: 500 },
      { kind: 'status', status: 401, body: '{"error":"invalid_client"}' },
      { kind: 'status', status: 200, body: '{"active":"true","sub":"x","token_type":"Bearer"}' },
      { kind: 'status', status: 200, body: '{"sub":"x"}' },
      { kind: 'status', status: 200, body: '[]' },
      { kind: 'status', status: 200, body: 'not json' },
    ] as const
    for (const act of acts) {
      world.okta.fault({ path: '/oauth2/v1/introspect', act })
      const answer = await ask(world, 'any', token)
      expect([act, answer.status]).toEqual([act, 503])
      expect(answer.headers['retry-after']).toBeDefined()
      world.okta.clearFaults()
    }
    expect((await ask(world, 'any', token)).status).toBe(200)
    expect((await browser.ask('http://any.localhost/')).status).toBe(200)
  })

  test('is asked about a token of the application once a minute, whoever sends it beside a session', async () => {
    const browser = world.browser()
    await world.signIn(browser, 'http://any.localhost/', 'bob@example.com')
    const before = calls()
    const send = (token: string) =>
      browser.ask('http://any.localhost/', { headers: { authorization: `Bearer ${token}` } })
    for (let second = 0; second < 55; second += 11) {
      // Of eight people in one office.
      for (let i = 0; i < 8; i++) expect((await send(`of-the-application-${i}`)).status).toBe(200)
      clock.advance(11_000)
    }
    expect(calls() - before).toBe(8)
    clock.advance(61_000)
  })

  test('is told no token of our own', async () => {
    const before = calls()
    for (const own of [`pst_${'a'.repeat(32)}`, `psl_v1.${'a'.repeat(22)}.${'b'.repeat(43)}`])
      expect((await ask(world, 'any', own)).status).toBe(401)
    expect(calls()).toBe(before)
  })

  test('is not asked without end by somebody who guesses', async () => {
    const before = calls()
    const statuses: number[] = []
    for (let i = 0; i < 40; i++) statuses.push((await ask(world, 'any', `guess-${i}`)).status)
    expect(statuses.slice(0, 20)).toEqual(Array(20).fill(401))
    expect(statuses.at(-1)).toBe(429)
    expect(calls() - before).toBeLessThanOrEqual(30)
    clock.advance(61_000)
    expect((await ask(world, 'any', await tokenOf('alice'))).status).toBe(200)
  })
})

describe('several providers', () => {
  const clock = manualClock(Date.now())
  let world: World
  beforeAll(async () => {
    world = await createTestWorld({ clock, okta: { seed: seed() }, routes: withAudience('api://default') })
    const { url } = world.okta
    const staff = { url: `${url}/oauth2/default`, client_id: DEMO.clientId, client_secret: DEMO.clientSecret }
    const of = (name: string, provider?: string) => ({
      name,
      from: `http://${name}.localhost`,
      to: world.upstreamUrl,
      allow_any_authenticated_user: true,
      bearer_token_format: 'idp_access_token',
      bearer_token_audience: 'api://default',
      ...(provider !== undefined && { identity_provider: provider }),
    })
    await world.restart({
      identity_providers: { staff: { provider: 'okta', ...staff } },
      routes: [of('all'), of('staff', 'staff'), of('others', 'default')],
    })
  })
  afterAll(() => world.close())

  test('a route that names one takes the tokens of that one', async () => {
    const { accessToken } = await personTokens(`${world.okta.url}/oauth2/default`, 'alice@example.com')
    expect((await ask(world, 'all', accessToken)).status).toBe(200)
    expect((await ask(world, 'staff', accessToken)).status).toBe(200)
    expect((await ask(world, 'others', accessToken)).status).toBe(401)
    const program = await programToken(`${world.okta.url}/oauth2/default`, 'wiki.read')
    expect((await ask(world, 'staff', program)).status).toBe(200)
    expect(lastLine(world)).toMatchObject({ service_account: `staff/${SERVICE_APP.id}` })
    const { body } = await world.browser().ask('http://staff.localhost/.postern/oauth-protected-resource')
    expect((JSON.parse(body) as Record<string, unknown>)['authorization_servers']).toEqual([
      `${world.okta.url}/oauth2/default`,
    ])
  })
})
