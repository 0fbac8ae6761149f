/** `postern check --online` and the mistakes of the first hour: each is one line that says what to do. */
import { keyRingsOf } from '../support/key-rings.ts'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'
import { checkStoreKey } from '../../src/store/key-check.ts'
import { openLmdbStore } from '../../src/store/lmdb.ts'
import { cli, type Ran } from '../support/cli.ts'
import { manualClock } from '../support/clock.ts'
import { listenOn, portOf, SHARED_SECRET } from '../support/world.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const AUTHENTICATE = 'http://authenticate.localhost'
const REDIRECT_URI = `${AUTHENTICATE}/oauth2/callback`
const SIGN_OUT_URI = `${AUTHENTICATE}/.postern/signed_out`

let folder = ''
let okta: OktaEmulator
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-check-'))
  okta = await createOktaEmulator({
    seed: demoSeed({ redirectUris: [REDIRECT_URI], postLogoutRedirectUris: [SIGN_OUT_URI] }),
  })
})
afterEach(async () => {
  await okta.close()
  rmSync(folder, { recursive: true })
})

function check(changes: Readonly<Record<string, unknown>> = {}, ...more: readonly string[]): Promise<Ran> {
  const path = join(folder, 'config.yaml')
  const settings = {
    authenticate_service_url: AUTHENTICATE,
    shared_secret: SHARED_SECRET,
    idp_provider: 'okta',
    idp_provider_url: okta.url,
    idp_client_id: DEMO.clientId,
    idp_client_secret: DEMO.clientSecret,
    idp_service_account: DEMO.apiToken,
    storage: { type: 'memory' },
    routes: [
      { from: 'http://app.localhost', redirect: { host_redirect: 'x.example' }, allowed_groups: ['Engineering'] },
    ],
    ...changes,
  }
  writeFileSync(path, stringify(settings), { mode: 0o600 })
  return cli(['check', '--online', ...more, path])
}

const linesOf = ({ out }: Ran, status: string): readonly string[] =>
  out.split('\n').filter((line) => line.startsWith(`${status.padEnd(4)}  `))
/** Everything that is not well, and how the command ended. */
const problems = (ran: Ran): readonly [number, ...string[]] => [
  ran.exitCode,
  ...linesOf(ran, 'FAIL'),
  ...linesOf(ran, 'WARN'),
]

test('all is well: every claim is proven, in one line each, and the last one says how long it took', async () => {
  const ran = await check()
  expect([ran.exitCode, ran.err]).toEqual([0, ''])
  expect(linesOf(ran, 'OK')).toEqual([
    `OK    identity provider ${okta.url}: discovery answers with this issuer`,
    `OK    clock, compared with ${new URL(okta.url).host}: they agree to a minute`,
    `OK    signing keys of ${okta.url}: 2 keys`,
    `OK    client ${DEMO.clientId}: the provider accepts its id and secret`,
    `OK    redirect URI ${REDIRECT_URI}: the provider knows it`,
    `OK    scopes of client ${DEMO.clientId}: the provider grants openid profile email offline_access`,
    `OK    sign-out URI ${SIGN_OUT_URI}: Okta knows it`,
    `OK    service account at ${okta.url}: the token belongs to service@example.com`,
    `OK    people at ${okta.url}: can be read`,
    `OK    groups at ${okta.url}: can be read`,
    `OK    System Log at ${okta.url}: can be read: changes are looked for every 10 seconds`,
  ])
  expect(ran.out.split('\n').at(-1)).toMatch(/^11 checks in \d+\.\d s: all is well$/)
  for (const secret of [DEMO.clientSecret, DEMO.apiToken]) expect(ran.out).not.toContain(secret)
})

test('nothing at Okta has changed, and nobody is signed in', async () => {
  await check()
  const calls = okta.calls().map(({ method, path }) => `${method} ${path}`)
  expect(calls.filter((call) => !call.startsWith('GET '))).toEqual(['POST /oauth2/v1/token'])
  expect(okta.logEvents(10).map((event) => event['eventType'])).not.toContain('user.authentication.sso')
})

describe('the client', () => {
  test('a wrong secret', async () => {
    expect(problems(await check({ idp_client_secret: 'of-yesterday' }))).toEqual([
      4,
      `FAIL  client ${DEMO.clientId}: the provider knows it, but does not accept its secret (invalid_client: The client secret supplied for a confidential client is invalid.); copy the client secret to idp_client_secret again; if it is right, see idp_client_auth`,
    ])
  })

  test('a wrong id', async () => {
    const ran = await check({ idp_client_id: '0oaofsomebodyelse000' })
    expect(problems(ran)).toEqual([
      4,
      `FAIL  client 0oaofsomebodyelse000: the provider knows no such client (invalid_client: Invalid value for 'client_id' parameter.); copy the Client ID of the application to idp_client_id`,
    ])
  })

  test('a redirect URI that is not registered', async () => {
    okta.updateApp(DEMO.clientId, { redirectUris: [`${REDIRECT_URI}/`] })
    expect(problems(await check())).toEqual([
      4,
      `FAIL  redirect URI ${REDIRECT_URI}: the provider does not know it, so no sign-in can end; add it to the Sign-in redirect URIs of client ${DEMO.clientId}, to the letter`,
    ])
  })

  test('a sign-out URI that is not registered', async () => {
    okta.updateApp(DEMO.clientId, { postLogoutRedirectUris: [] })
    expect(problems(await check())).toEqual([
      4,
      `FAIL  sign-out URI ${SIGN_OUT_URI}: Okta does not know it, so a sign-out ends at an error page; add it to the Sign-out redirect URIs of client ${DEMO.clientId}, to the letter`,
    ])
  })

  test('a scope that the provider refuses', async () => {
    expect(problems(await check({ idp_scopes: ['email', 'payroll'] }))).toEqual([
      4,
      `FAIL  scopes of client ${DEMO.clientId}: the provider refuses one of openid email payroll (invalid_scope: One or more scopes are not configured for the authorization server resource.); take it out of idp_scopes, or allow it at the authorization server`,
    ])
  })

  test('no Refresh Token grant', async () => {
    okta.updateApp(DEMO.clientId, { grantTypes: ['authorization_code'] })
    expect(problems(await check())).toEqual([
      0,
      `WARN  application of client ${DEMO.clientId}: it may not have refresh tokens, so what changes at Okta shows at the next sign-in only; allow it the grant type Refresh Token`,
    ])
  })
})

describe('the issuer', () => {
  test('an authorization server that the org does not have', async () => {
    expect(problems(await check({ idp_provider_url: `${okta.url}/oauth2/defualt` }))).toEqual([
      4,
      `FAIL  identity provider ${okta.url}/oauth2/defualt: ${okta.url}/oauth2/defualt/.well-known/openid-configuration answered 404: no issuer is there; write idp_provider_url: ${okta.url} (the org's own server), or see Security > API > Authorization Servers for its issuers`,
    ])
  })

  test('another address of the same org', async () => {
    const other = okta.url.replace('localhost', '127.0.0.1')
    expect(problems(await check({ idp_provider_url: other }))).toContain(
      `FAIL  identity provider ${other}: it calls itself ${okta.url}; write idp_provider_url: ${okta.url}`,
    )
  })

  test.each([
    [600_000, '10 minutes behind'],
    [-600_000, '10 minutes ahead'],
  ])('a clock that is off by %i ms', async (skew, said) => {
    okta.clockSkew(skew)
    const [exitCode, line, ...others] = problems(await check())
    expect([exitCode, others]).toEqual([4, []])
    expect(line).toBe(
      `FAIL  clock, compared with ${new URL(okta.url).host}: this machine's clock is ${said}, so every ID token would be refused; set it, and keep it set by NTP`,
    )
  })
})

describe('the service account', () => {
  test('a token that was revoked', async () => {
    okta.revokeApiToken(DEMO.apiToken)
    const ran = await check()
    expect(problems(ran)).toEqual([
      4,
      `FAIL  service account at ${okta.url}: Okta does not accept the token: it is wrong, revoked, or was unused for 30 days; create one in Security > API > Tokens, as a Read-only Administrator`,
    ])
    expect(linesOf(ran, 'NOTE')).toEqual([
      `NOTE  sign-out URI ${SIGN_OUT_URI}: cannot be proven: the settings of the application may not be read; see that it is among the Sign-out redirect URIs of client ${DEMO.clientId}`,
    ])
  })

  test.each([
    // The first call is about the token itself.
    ['people', '/api/v1/users', 1],
    ['groups', '/api/v1/groups', 0],
  ])('a token that may not read %s', async (what, path, after) => {
    okta.fault({ path, after, act: { kind: 'status', status: 403, body: '{"errorCode":"E0000006"}' } })
    const [exitCode, line] = problems(await check())
    expect(exitCode).toBe(4)
    expect(line).toMatch(
      new RegExp(
        `^FAIL {2}${what} at .*: the token may not do this \\(okta: GET ${path} answered 403 E0000006.*\\); create it as a Read-only Administrator$`,
      ),
    )
  })

  test('a group that Okta does not have', async () => {
    const route = { from: 'http://app.localhost', redirect: { host_redirect: 'x.example' } }
    expect(problems(await check({ routes: [{ ...route, allowed_groups: ['Enginering'] }] }))).toEqual([
      0,
      'WARN  group "Enginering": Okta has no such group, so no person is in it; did you mean "Engineering"?',
    ])
  })
})

describe('upstreams', () => {
  const to = (...upstreams: readonly string[]) => ({
    routes: [{ from: 'http://app.localhost', to: upstreams, allowed_groups: ['Engineering'] }],
  })
  const remedy = 'see `to`, that it runs, and that this machine may connect there'

  test('one whose name does not resolve, one that refuses connections', async () => {
    const [exitCode, ...lines] = problems(await check(to('http://nowhere.invalid', 'http://127.0.0.1:1')))
    expect([exitCode, lines]).toEqual([
      4,
      [
        expect.stringMatching(
          /^FAIL {2}upstream http:\/\/127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1 \(.*:\d+:\d+\); /,
        ),
        expect.stringMatching(
          /^FAIL {2}upstream http:\/\/nowhere.invalid: getaddrinfo \w+ nowhere.invalid \(.*:\d+:\d+\); /,
        ),
      ],
    ])
    for (const line of lines) expect(line).toContain(remedy)
  })

  test('one that is away beside one that is there', async () => {
    const [exitCode, ...lines] = problems(await check(to(okta.url, 'http://127.0.0.1:1')))
    expect([exitCode, lines]).toEqual([
      0,
      [expect.stringMatching(/^WARN {2}upstream http:\/\/127.0.0.1:1: .*; another one of the route is there; /)],
    ])
  })
})

describe('the embedded store', () => {
  const at = (path: string, more: object = {}) => check({ storage: { type: 'embedded', path }, ...more })
  const made = async (path: string): Promise<void> => {
    const store = openLmdbStore({ path, clock: systemClock, logger: silentLogger })
    await checkStoreKey(store, keyRingsOf(new Secret(SHARED_SECRET)))
    await store.close()
  }

  test('is made by nobody but Postern', async () => {
    const path = join(folder, 'store')
    const ran = await at(path)
    expect([ran.exitCode, ran.out]).toEqual([
      0,
      expect.stringContaining(`OK    store (${path}): is made at the first start`),
    ])
    expect(existsSync(path)).toBe(false)
    mkdirSync(path)
    expect((await at(path)).out).toContain(`OK    store (${path}): is made at the first start`)
    expect(readdirSync(path)).toEqual([])
  })

  test('keeps what is written, and afterwards nothing is left of it', async () => {
    const path = join(folder, 'store')
    await made(path)
    expect((await at(path)).out).toContain(`OK    store (${path}): is of this shared_secret, and keeps what is written`)
    const store = openLmdbStore({ path, clock: systemClock, logger: silentLogger })
    const left: string[] = []
    for await (const [key] of store.list({ name: 'check', parse: (value) => value })) left.push(key)
    await store.close()
    expect(left).toEqual([])
  })

  test('of another shared secret is left alone', async () => {
    const path = join(folder, 'store')
    await made(path)
    const [exitCode, ...lines] = problems(await at(path, { shared_secret: SHARED_SECRET.toLowerCase() }))
    expect([exitCode, lines]).toEqual([
      4,
      [expect.stringContaining(`FAIL  store (${path}): shared_secret differs from the one that wrote this store`)],
    ])
  })

  test('that cannot be used', async () => {
    const path = join(folder, 'store')
    mkdirSync(path)
    writeFileSync(join(path, 'postern.mdb'), 'x'.repeat(65_536))
    const [exitCode, line] = problems(await at(path))
    expect(exitCode).toBe(4)
    expect(line).toContain(`FAIL  store (${path}): `)
  })
})

describe('the authority that certificates are ordered from', () => {
  let authority: Server
  let directory: object = {}
  const url = (): string => `https://localhost:${portOf(authority)}/directory`
  const autocert = (more: object = {}) => {
    const host = 'https://authenticate.corp.example'
    okta.updateApp(DEMO.clientId, {
      redirectUris: [`${host}/oauth2/callback`],
      postLogoutRedirectUris: [`${host}/.postern/signed_out`],
    })
    return check({
      authenticate_service_url: host,
      autocert: true,
      autocert_ca: url(),
      autocert_trusted_ca: CERTIFICATE,
      routes: [],
      ...more,
    })
  }
  beforeEach(async () => {
    authority = await listenOn(
      createServer({ cert: CERTIFICATE, key: KEY }, (_, res) =>
        res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(directory)),
      ),
    )
  })
  afterEach(() => {
    authority.closeAllConnections()
    authority.close()
  })
  const names = { newNonce: 'https://x/n', newAccount: 'https://x/a', newOrder: 'https://x/o' }

  test('names its terms', async () => {
    directory = { ...names, meta: { termsOfService: 'https://ca.example/terms' } }
    const ran = await autocert()
    expect([ran.exitCode, ran.out]).toEqual([
      0,
      expect.stringContaining(
        `OK    certificate authority ${url()}: answers; autocert agrees to its terms: https://ca.example/terms`,
      ),
    ])
  })

  test('is none, takes no stranger, or is not trusted', async () => {
    directory = { hello: 'world' }
    expect(problems(await autocert())).toEqual([
      4,
      `FAIL  certificate authority ${url()}: answered 200 and no ACME directory; see autocert_ca`,
    ])
    directory = { ...names, meta: { externalAccountRequired: true } }
    expect(problems(await autocert())).toEqual([
      4,
      `FAIL  certificate authority ${url()}: it takes no orders without an external account; write autocert_eab_key_id and autocert_eab_mac_key, as the authority gave them`,
    ])
    const account = { autocert_eab_key_id: 'kid', autocert_eab_mac_key: 'bWFjLWtleS1vZi0zMi1ieXRlcy1hbmQtbW9yZS0wMTIz' }
    expect((await autocert(account)).exitCode).toBe(0)
    expect(problems(await autocert({ autocert_trusted_ca: undefined }))[1]).toMatch(
      /^FAIL {2}certificate authority .*: no answer from localhost:\d+: \w*SELF_SIGNED\w*; see autocert_ca, autocert_trusted_ca/,
    )
  })
})

test('whoever never answers is given up after 30 seconds', async () => {
  const clock = manualClock()
  let ask: () => void = () => {}
  const asked = new Promise<void>((resolve) => (ask = resolve))
  const mute = await listenOn(createHttpServer(() => ask()))
  const issuer = `http://127.0.0.1:${portOf(mute)}`
  const path = join(folder, 'config.yaml')
  const settings = {
    authenticate_service_url: AUTHENTICATE,
    shared_secret: SHARED_SECRET,
    idp_provider: 'oidc',
    idp_provider_url: issuer,
    idp_client_id: 'web',
    idp_timeout: '60s',
    storage: { type: 'memory' },
  }
  writeFileSync(path, stringify(settings), { mode: 0o600 })
  const running = cli(['check', '--online', path], { clock })
  await asked
  clock.advance(30_000)
  const ran = await running
  mute.closeAllConnections()
  mute.close()
  expect(problems(ran)).toEqual([
    4,
    `FAIL  identity provider ${issuer}: no answer within 30 seconds; see that this machine may connect there: something swallows what is sent`,
  ])
})

test('--json has the same findings', async () => {
  const { out, exitCode } = await check({ idp_client_secret: 'of-yesterday' }, '--json')
  const { valid, checks } = JSON.parse(out) as { valid: boolean; checks: readonly Record<string, string>[] }
  expect([exitCode, valid]).toEqual([4, true])
  expect(checks.filter(({ status }) => status === 'fail')).toEqual([
    {
      check: `client ${DEMO.clientId}`,
      status: 'fail',
      message: expect.stringContaining('does not accept its secret') as string,
      remedy: expect.stringContaining('idp_client_secret') as string,
    },
  ])
})
