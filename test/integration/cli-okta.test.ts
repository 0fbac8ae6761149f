/** What the command line does at Okta: the event hook it makes, and what it finds out before Postern runs. */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { AdminRole } from '../../emulator/okta/model/types.ts'
import { HOOK_EVENT_TYPES } from '../../src/directory/okta/events.ts'
import { cli, type Ran } from '../support/cli.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'
import { createIssuerServer } from '../support/token-issuer.ts'
import { createTestWorld, SHARED_SECRET, type World } from '../support/world.ts'

const AUTHENTICATE = 'http://authenticate.localhost'
const URI = `${AUTHENTICATE}/.postern/hooks/okta`
const HOOK_SECRET = 'the-secret-that-okta-shows'
const ADMIN = '00a-token-of-a-super-administrator'
const NOTE = `note: Okta calls event hooks over https only, and authenticate_service_url makes this one ${URI}; an emulator may take it`

let folder = ''
let world: World
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-cli-okta-'))
  world = await createTestWorld({ config: { directory: { okta: { event_hook_secret: HOOK_SECRET } } } })
  world.okta.routeOutbound(AUTHENTICATE, { host: '127.0.0.1', port: world.port })
  addToken(ADMIN, 'SUPER_ADMIN')
})
afterEach(async () => {
  await world.close()
  rmSync(folder, { recursive: true })
})

function addToken(value: string, role: AdminRole): void {
  world.okta.org.addToken({ value, ownerId: DEMO.people.service, role })
}

/** The configuration of the running Postern, as a file; `undefined` removes a key. */
function writeConfig(changes: Readonly<Record<string, unknown>> = {}): string {
  const path = join(folder, 'config.yaml')
  const settings = {
    authenticate_service_url: AUTHENTICATE,
    shared_secret: SHARED_SECRET,
    idp_provider_url: world.okta.url,
    idp_client_id: DEMO.clientId,
    idp_client_secret: DEMO.clientSecret,
    idp_service_account: DEMO.apiToken,
    storage: { type: 'memory' },
    directory: { okta: { event_hook_secret: HOOK_SECRET } },
    routes: [{ from: 'http://app.localhost', to: world.upstreamUrl, allowed_groups: ['Engineering'] }],
    ...changes,
  }
  writeFileSync(path, stringify(settings), { mode: 0o600 })
  return path
}

describe('postern okta hook install', () => {
  const install = (changes: object = {}, env: Record<string, string> = { OKTA_API_TOKEN: ADMIN }): Promise<Ran> =>
    cli(['okta', 'hook', 'install', '--config', writeConfig({ ...changes })], { env })

  test('creates a hook with the event types of the log filter; Okta verifies it and its events count', async () => {
    const { exitCode, out, err } = await install()
    expect([exitCode, err]).toEqual([0, NOTE])
    const [hook] = world.okta.hooks()
    expect(hook).toMatchObject({ uri: URI, status: 'ACTIVE', verificationStatus: 'VERIFIED', items: HOOK_EVENT_TYPES })
    expect(out.split('\n').slice(0, 4)).toEqual([
      `created event hook ${hook?.id} "Postern authenticate.localhost" at ${world.okta.url}`,
      `  URI      ${URI}`,
      '  Header   Authorization: the value of directory.okta.event_hook_secret',
      `  Events   ${HOOK_EVENT_TYPES.length} types:`,
    ])
    expect(out.split('\n').at(-1)).toBe('verified: Okta has reached it; deliveries begin within minutes')
    for (const secret of [HOOK_SECRET, ADMIN]) expect(out + err).not.toContain(secret)

    world.okta.setStatus('bob@example.com', 'SUSPENDED')
    await world.okta.flushHooks()
    expect(world.okta.hookDeliveries().map(({ result }) => result)).toEqual([204])
  })

  test('a second run changes nothing; a changed hook is repaired', async () => {
    await install()
    const [before] = world.okta.hooks()
    const again = await install()
    expect([again.exitCode, again.out.split('\n')[0]]).toEqual([
      0,
      `updated event hook ${before?.id} "Postern authenticate.localhost" at ${world.okta.url}`,
    ])
    const call = (method: string, path: string, body?: object) =>
      fetch(`${world.okta.url}/api/v1/eventHooks/${before?.id}${path}`, {
        method,
        headers: { authorization: `SSWS ${ADMIN}`, 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      })
    const config = { uri: URI, headers: [], authScheme: { type: 'HEADER', key: 'Authorization', value: 'another' } }
    const bent = {
      name: 'bent',
      events: { type: 'EVENT_TYPE', items: ['user.lifecycle.create'], filter: null },
      channel: { type: 'HTTP', version: '1.0.0', config },
    }
    expect((await call('PUT', '', bent)).status).toBe(200)
    expect((await call('POST', '/lifecycle/deactivate')).status).toBe(200)
    expect((await install()).exitCode).toBe(0)
    expect(world.okta.hooks()).toHaveLength(1)
    expect(world.okta.hooks()[0]).toMatchObject({
      id: before?.id,
      status: 'ACTIVE',
      verificationStatus: 'VERIFIED',
      items: HOOK_EVENT_TYPES,
    })
    world.okta.setStatus('bob@example.com', 'SUSPENDED')
    await world.okta.flushHooks()
    expect(world.okta.hookDeliveries().map(({ result }) => result)).toEqual([204])
  })

  test('a token without permission exits as a failed dependency and names the role that it needs', async () => {
    const { exitCode, out, err } = await install({}, {})
    expect([exitCode, out]).toEqual([4, ''])
    expect(err).toContain('okta: POST /api/v1/eventHooks answered 403 E0000006')
    expect(err).toContain(
      "event hooks are made by a Super Administrator's token: give it to this command alone, as OKTA_API_TOKEN",
    )
    expect(world.okta.hooks()).toEqual([])
  })

  test.each([
    [['okta.groups.read'], 'POST /oauth2/v1/token answered 400 invalid_scope'],
    [['okta.groups.read', 'okta.eventHooks.manage'], undefined],
  ])('a service app that is granted %s', async (grantedScopes, problem) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const id = '0oaservice0000000app'
    world.okta.addApp({
      id,
      label: 'Postern API',
      kind: 'service',
      jwks: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one' } as never],
      grantedScopes,
      role: 'SUPER_ADMIN',
    })
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
    const okta = { event_hook_secret: HOOK_SECRET, client_id: id, private_key: key, key_id: 'one' }
    const { exitCode, err } = await install({ idp_service_account: undefined, directory: { okta } }, {})
    expect(exitCode).toBe(problem === undefined ? 0 : 4)
    if (problem === undefined) return
    expect(err).toContain(problem)
    expect(err).toContain('grant the app the scope okta.eventHooks.manage and the role Super Administrator')
  })

  test('a hook that Okta cannot verify exits as a failed dependency with Okta’s words and what to check', async () => {
    world.okta.routeOutbound(AUTHENTICATE, { host: '127.0.0.1', port: 1 })
    const { exitCode, out, err } = await install()
    expect(exitCode).toBe(4)
    expect(out).toContain('created event hook')
    expect(out).not.toContain('verified')
    expect(err).toContain(
      'failed: Okta could not verify it: Api validation failed: eventHook: The endpoint did not return the verification challenge within 3 seconds.',
    )
    expect(err).toContain('authenticate.localhost resolves and is reachable from the internet')
    expect(world.okta.hooks()[0]).toMatchObject({ verificationStatus: 'UNVERIFIED' })
  })

  test('wrong usage is reported before Okta is asked', async () => {
    const withoutSecret = await install({ directory: {} })
    expect([withoutSecret.exitCode, withoutSecret.err]).toEqual([
      2,
      'postern: Okta shows a secret with each event: configure idp_service_account and directory.okta.event_hook_secret (`postern secrets generate shared --format raw`)',
    ])
    const plain = await install({
      idp_provider_url: 'https://corp.okta.com',
      authenticate_service_url: 'http://authenticate.corp.example',
      insecure_server: true,
    })
    expect([plain.exitCode, plain.err]).toEqual([
      2,
      'postern: Okta calls event hooks over https only, and authenticate_service_url makes this one http://authenticate.corp.example/.postern/hooks/okta',
    ])
    expect(world.okta.hooks()).toEqual([])
  })

  test('an unreachable Okta exits as a failed dependency', async () => {
    world.okta.fault({ path: '/api/v1/eventHooks', act: { kind: 'status', status: 503 } })
    const { exitCode, err } = await install()
    expect([exitCode, err.split('\n').at(-1)]).toEqual([4, 'postern: okta: GET /api/v1/eventHooks answered 503'])
  })
})

describe('postern check --online', () => {
  const check = (changes: object = {}, ...more: string[]): Promise<Ran> =>
    cli(['check', '--online', ...more, writeConfig({ ...changes })])
  const problems = (out: string): readonly string[] => out.split('\n').filter((line) => /^(?:FAIL|WARN) /.test(line))
  const routes = (...groups: string[]) => ({
    routes: [{ from: 'http://app.localhost', to: world.upstreamUrl, allowed_groups: groups }],
  })

  test('prints the event hook to create when a secret for it is configured', async () => {
    const { exitCode, out, err } = await check()
    expect([exitCode, err]).toEqual([0, ''])
    expect(out).toContain(
      [
        'Event hook at Okta, made by `postern okta hook install` or by hand:',
        `  URI      ${URI}`,
        '  Header   Authorization: the value of directory.okta.event_hook_secret',
        `  Events   ${HOOK_EVENT_TYPES.length} types:`,
        ...HOOK_EVENT_TYPES.map((type) => `           ${type}`),
        '  Okta itself takes https only',
      ].join('\n'),
    )
    expect(out).not.toContain(HOOK_SECRET)
    expect(out).toContain('the token belongs to service@example.com')
    expect(out).toContain('can be read: changes are looked for every 10 seconds')
    expect((await check({ directory: {} })).out).not.toContain('Event hook')
    const json = JSON.parse((await check({}, '--json')).out) as object
    expect(json).toMatchObject({ event_hook: { uri: URI, header: 'Authorization', events: HOOK_EVENT_TYPES } })
  })

  test('warns when the System Log may not be read', async () => {
    addToken('00a-token-of-a-membership-admin', 'GROUP_MEMBERSHIP_ADMIN')
    const { exitCode, out } = await check({ idp_service_account: '00a-token-of-a-membership-admin' })
    expect([exitCode, problems(out)]).toEqual([
      0,
      [
        `WARN  System Log at ${world.okta.url}: may not be read: Postern falls back to lists of what changed, so changes take up to 30 seconds and more, instead of 10 seconds; create the token as a Read-only Administrator`,
      ],
    ])
  })

  test('names groups that a claim, an exclusion or a shadow policy looks for', async () => {
    const { out } = await check({
      routes: [
        {
          from: 'http://app.localhost',
          to: 'http://127.0.0.1:1',
          allow_any_authenticated_user: true,
          policy: { deny: { or: [{ 'claim/groups': 'Enginering' }, { groups: { exclude: 'Sale' } }] } },
          shadow_policy: { allow: { or: [{ groups: 'Everyon' }] } },
        },
      ],
    })
    for (const name of ['Enginering', 'Sale', 'Everyon'])
      expect(out).toContain(`group "${name}": Okta has no such group`)
  })

  test('connects to upstreams: a certificate that is refused fails, one that is not there is a warning beside another', async () => {
    const server = createServer({ key: KEY, cert: CERTIFICATE })
    server.on('tlsClientError', () => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const to = `https://localhost:${(server.address() as AddressInfo).port}`
    const route = { from: 'http://app.localhost', allowed_groups: ['Engineering'] }
    const { exitCode, out } = await check({
      routes: [
        { ...route, to: [world.upstreamUrl, 'http://127.0.0.1:1'] },
        { ...route, prefix: '/tls', to },
      ].toReversed(),
    })
    server.close()
    expect(exitCode).toBe(4)
    expect(out).toContain(`OK    upstream ${world.upstreamUrl}: answers HEAD / with 200`)
    expect(out).toMatch(
      new RegExp(
        `FAIL  upstream ${to}: its certificate is self-signed; trust it with tls_custom_ca .*config.yaml:\\d+`,
      ),
    )
    expect(out).toContain('WARN  upstream http://127.0.0.1:1: connect ECONNREFUSED')
  })

  test('reads the keys of token issuers', async () => {
    const issuer = await createIssuerServer()
    const { exitCode, out } = await check({
      token_issuers: {
        ci: { issuer: issuer.url, audience: 'x' },
        keys: { issuer: 'https://ci.corp.example', jwks_url: `${issuer.url}/keys`, audience: 'x' },
        other: { issuer: `${issuer.url}/other`, audience: 'x' },
        away: { issuer: 'http://127.0.0.1:1', audience: 'x' },
      },
    })
    await issuer.close()
    expect(exitCode).toBe(4)
    for (const name of ['ci', 'keys']) expect(out).toContain(`OK    token issuer ${name}: publishes 1 key`)
    expect(out).toContain(
      `FAIL  token issuer other: GET ${issuer.url}/other/.well-known/openid-configuration: it answered 404`,
    )
    expect(out).toMatch(/FAIL  token issuer away: GET http:\/\/127\.0\.0\.1:1\/.* failed/)
  })

  test('names groups in policies that Okta lacks, has twice, or imports', async () => {
    const twins = [world.okta.addGroup({ name: 'Twins' }).id, world.okta.addGroup({ name: 'Twins' }).id]
    const imported = world.okta.addGroup({ name: 'From HR', type: 'APP_GROUP' }).id
    const { exitCode, out } = await check(
      routes(
        'Engineering',
        'Everyone',
        DEMO.groups.sales,
        'Enginering',
        'Nothing of the kind',
        'Twins',
        'From HR',
        imported,
      ),
    )
    expect(exitCode).toBe(0)
    const [first, second, third, ...more] = problems(out)
    expect(first).toBe(
      'WARN  group "Enginering": Okta has no such group, so no person is in it; did you mean "Engineering"?',
    )
    expect(second).toBe('WARN  group "Nothing of the kind": Okta has no such group, so no person is in it')
    for (const id of twins) expect(third).toContain(id)
    expect(third).toContain('WARN  group "Twins": 2 groups have this name, and each of them counts; write an id: ')
    expect(more).toEqual([
      `WARN  group "From HR": only an imported group has this name, which rules do not match by name; write its id: ${imported}`,
    ])
  })
})

describe('postern check --online where the sign-in service is a process of its own', () => {
  const shared = { storage: { type: 'embedded', path: 'store' } }

  test('a proxy has no client to prove and no Okta to ask, and says what it serves', async () => {
    const changes = {
      ...shared,
      services: 'proxy',
      idp_client_secret: undefined,
      idp_service_account: undefined,
      directory: { sources: ['okta'] },
    }
    const { exitCode, out, err } = await cli(['check', '--online', writeConfig(changes)])
    expect([exitCode, err]).toEqual([0, ''])
    expect(out).toContain('serves the routes alone (services: proxy)')
    expect(out).toContain('Groups: from okta, which the sign-in service reads')
    expect(out).toContain(`OK    upstream ${world.upstreamUrl}: answers HEAD / with 200`)
    expect(out).not.toContain('okta: ')
    expect(world.okta.calls().filter(({ path }) => path.endsWith('/token'))).toEqual([])
  })

  test('the sign-in service asks Okta, and no application', async () => {
    const { exitCode, out } = await cli(['check', '--online', writeConfig({ ...shared, services: 'authenticate' })])
    expect(exitCode).toBe(0)
    expect(out).toContain('serves the sign-in alone (services: authenticate)')
    expect(out).not.toContain('upstream')
    expect(world.okta.calls().some(({ path }) => path.startsWith('/api/'))).toBe(true)
  })
})
