import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cli, type Ran } from '../../support/cli.ts'

const CONFIG = `authenticate_service_url: https://authenticate.corp.example
idp_provider_url: https://dev-1.okta.com
idp_client_id: 0oa1
idp_client_secret: the-client-secret
idp_service_account: 00an-api-token-that-opens-nothing
shared_secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
insecure_server: true
storage: {type: memory}
routes:
  - from: https://wiki.corp.example
    to: http://wiki:8080
    policy:
      - allow: {and: [{domain: corp.example}, {groups: {has: Engineering}}]}
      - deny: {or: [{source_ip: 203.0.113.0/24}, {claim/level: 9}]}
  - {from: https://status.corp.example, to: http://status:8080, allow_public_unauthenticated_access: true}
  - {from: https://home.corp.example, to: http://home:8080, allow_any_authenticated_user: true, allow_websockets: false}
  - {from: https://many.corp.example, methods: [POST], to: http://many:1, allow_any_authenticated_user: true}
  - {from: https://many.corp.example, prefix: /api, to: http://many:2, allow_any_authenticated_user: true}
  - {from: https://many.corp.example, headers: {X-Beta: '1'}, query: {v: '1'}, to: http://many:3, allow_any_authenticated_user: true}
  - {from: https://many.corp.example, to: http://many:4, allow_any_authenticated_user: true}
  - {from: https://ci.corp.example, to: http://ci:1, service_tokens: true, policy: {allow: {and: [{groups: {has: Deployers}}, {service_account: ci}]}}}
  - {from: https://vault.corp.example, to: http://vault:1, allow_any_authenticated_user: true, acr_values: [phr, phrh], max_auth_age: 15m}
  - {from: https://socket.corp.example, to: 'https+unix:///run/app.sock', allow_any_authenticated_user: true}
  - {from: https://tenant.corp.example, to: http://tenant:1, host_rewrite_header: X-Tenant, allow_any_authenticated_user: true}
  - {from: https://secret.corp.example, to: http://secret:1/v1, host_rewrite: api.internal, set_request_headers: {X-Key: never-shown}, allow_any_authenticated_user: true}
`

let folder = ''
let file = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-explain-'))
  file = join(folder, 'config.yaml')
  writeFileSync(file, CONFIG)
})
afterAll(() => rmSync(folder, { recursive: true }))

const explain = (url: string, ...args: string[]): Promise<Ran> =>
  cli(['explain', '--config', file, '--url', url, ...args])
const WIKI = 'https://wiki.corp.example/page?a=1'

describe('postern explain', () => {
  test.each([
    [
      'a header that is there in two spellings',
      ['https://many.corp.example/x', '--header', 'X_Beta: 1'],
      '"x-beta" was sent in a spelling',
    ],
    [
      'a parameter that is there twice',
      ['https://many.corp.example/x?v=1&v=2', '--header', 'X-Beta: 1'],
      'the query names "v"',
    ],
    [
      'a Host that a rewrite cannot make',
      ['https://tenant.corp.example/', '--header', 'X-Tenant: a b', '--email', 'a@b.example'],
      'x-tenant gives no valid Host',
    ],
    ['a length that is none', [WIKI, '--header', 'Content-Length: +5'], 'invalid Content-Length'],
    ['two lengths', [WIKI, '--header', 'Content-Length: 5', '--header', 'Content-Length: 5'], 'invalid Content-Length'],
    [
      'two framings',
      [WIKI, '--header', 'Content-Length: 5', '--header', 'Transfer-Encoding: chunked'],
      'both Transfer-Encoding and Content-Length',
    ],
  ])('says 400 where the proxy does: for %s', async (_, [url = '', ...args], detail) => {
    const { out, exitCode } = await explain(url, ...args, '--exit-code')
    expect(exitCode).toBe(10)
    expect(out).toContain('Decision  none: the request is refused (400): ')
    expect(out).toContain(detail)
  })

  test('says 501 and 417 where the proxy does', async () => {
    const coded = await explain(WIKI, '--header', 'Transfer-Encoding: gzip, chunked')
    expect(coded.out).toContain('Decision  none: the request is refused (501): unsupported Transfer-Encoding')
    const expecting = await explain(WIKI, '--header', 'Expect: the-best')
    expect(expecting.out).toContain('Decision  none: the request is refused (417): unknown expectation')
  })

  test('says what a route asks of a sign-in, and that it is not known how somebody made up signed in', async () => {
    const { out, err, exitCode } = await explain(
      'https://vault.corp.example/',
      '--user',
      '00u1',
      '--groups',
      'Staff',
      '--exit-code',
    )
    expect(exitCode).toBe(10)
    expect(out).toContain('Policy    everybody who is signed in\n')
    expect(out).toContain('and a sign-in whose acr is one of phr, phrh\n')
    expect(out).toContain('and a sign-in whose auth_time is no longer ago than 15 minutes\n')
    expect(out).toContain('Decision  sign-in (authentication-insufficient)')
    expect(err).toContain('note: how somebody signed in is known of people who are signed in')
  })

  test('with a client certificate, and without one', async () => {
    const fixture = (name: string): string => new URL(`../config/fixtures/${name}`, import.meta.url).pathname
    const mtls = join(folder, 'mtls.yaml')
    const tls = `certificate_file: ${fixture('tls.crt')}\ncertificate_key_file: ${fixture('tls.key')}\ndownstream_mtls: {ca_file: ${fixture('mtls/ca.crt')}}`
    const policy = '{allow: {or: [{client_certificate: {san_dns: client.corp.example}}]}}'
    const route = `  - {from: https://device.corp.example, to: http://device:1, policy: ${policy}}`
    writeFileSync(mtls, `${CONFIG.replace('insecure_server: true', tls)}${route}\n`)
    const asked = ['explain', '--config', mtls, '--url', 'https://device.corp.example/', '--exit-code']
    const without = await cli(asked)
    expect([without.exitCode, without.out]).toEqual([10, expect.stringContaining('deny (client-certificate-required)')])
    const shown = await cli([...asked, '--certificate', fixture('mtls/client.crt')])
    expect([shown.exitCode, shown.out]).toEqual([0, expect.stringContaining('allow (client-certificate-ok)')])
    const broken = await cli([...asked, '--certificate', mtls])
    expect([broken.exitCode, broken.err]).toEqual([2, expect.stringContaining('holds no certificate that can be read')])
  })

  test('shows the route, every criterion with its value, and the decision', async () => {
    const { exitCode, out } = await explain(WIKI, '--email', 'Ann@corp.example', '--groups', 'Engineering, Staff')
    expect(exitCode).toBe(0)
    expect(out.split('\n')).toEqual([
      `Request   GET ${WIKI} from 127.0.0.1`,
      'Person    ann@corp.example (somebody), active',
      'Groups    Engineering, Staff; from the command line, less than a second ago',
      `Route     wiki.corp.example (${file}:10:5) to http://wiki:8080`,
      'Policy    true     allow if all of',
      '          true       domain is "corp.example"',
      '          true       groups has "Engineering"',
      '          false    deny if any of',
      '          false      source_ip in 203.0.113.0/24',
      '          false      claim/level has 9',
      'Upstream  GET /page?a=1 HTTP/1.1 to http://wiki:8080',
      'Headers   host: wiki.corp.example',
      '          Accept: text/html',
      '          x-forwarded-for: 127.0.0.1',
      '          x-forwarded-proto: https',
      '          x-forwarded-host: wiki.corp.example',
      '          x-forwarded-port: 443',
      '          x-request-id: command-line',
      '          postern-hop: [mark of the route]',
      'Decision  allow (domain-ok, groups-ok)',
    ])
  })

  test('of a program says what its service token opens', async () => {
    const asked = (url: string, ...args: string[]) => explain(url, '--service-account', 'ci', ...args)
    const { out } = await asked('https://ci.corp.example/', '--groups', 'Deployers')
    expect(out).toContain('Person    service:ci, active')
    expect(out).toContain('Decision  allow (groups-ok, service-account-ok)')
    expect((await asked('https://home.corp.example/')).out).toContain('Decision  bad-token (token-scope)')
    expect(await asked('https://ci.corp.example/', '--email', 'ann@corp.example')).toMatchObject({
      exitCode: 2,
      err: 'postern: --service-account goes together with --groups alone',
    })
  })

  test('of a wss: URL says what becomes of a WebSocket', async () => {
    const decision = async (url: string) => (await explain(url, '--email', 'ann@corp.example')).out.split('\n').at(-1)
    expect(await decision('https://home.corp.example/')).toBe('Decision  allow (signed-in)')
    expect(await decision('wss://home.corp.example/')).toBe('Decision  deny (websockets-off)')
    expect(await decision('wss://status.corp.example/')).toBe('Decision  allow (public)')
  })

  test('says that claims were not known where a rule asks for them', async () => {
    const note = 'note: claims are known of people who are signed in; here rules about claims found none'
    expect((await explain(WIKI, '--email', 'ann@corp.example', '--groups', 'Engineering')).err).toBe(note)
    expect((await explain('https://home.corp.example/', '--email', 'ann@corp.example')).err).toBe('')
  })

  test.each([
    ['in no group', ['--groups', ''], 'Decision  deny (groups-unauthorized)'],
    ['in the group by id only', ['--groups', '00g1emaKYZTWRYYRRTSK'], 'Decision  deny (groups-unauthorized)'],
    ['of another address', ['--groups', 'Engineering', '--ip', '203.0.113.7'], 'Decision  deny (source-ip-ok)'],
    ['groups not said', [], 'Decision  unavailable (groups-unknown)'],
  ])('somebody %s', async (_what, args, decision) => {
    const { exitCode, out } = await explain(WIKI, '--email', 'ann@corp.example', ...args)
    expect([exitCode, out.split('\n').at(-1)]).toEqual([0, decision])
  })

  test('without --user, a protected route leads to sign-in and a public one is allowed', async () => {
    expect((await explain(WIKI)).out).toContain('Person    nobody is signed in')
    expect((await explain(WIKI)).out).toContain('Decision  sign-in (user-unauthenticated)')
    const { out } = await explain('https://status.corp.example/')
    expect(out).toContain('Policy    everybody, without sign-in')
    expect(out).toContain('Decision  allow (public)')
  })

  test('--exit-code answers 10 for everything but allow', async () => {
    const asked = async (url: string, ...args: string[]) => (await explain(url, '--exit-code', ...args)).exitCode
    expect(await asked('https://status.corp.example/')).toBe(0)
    expect(await asked('https://home.corp.example/', '--user', '00u1', '--groups', '')).toBe(0)
    expect(await asked('https://home.corp.example/')).toBe(10)
    expect(await asked(WIKI, '--email', 'ann@corp.example', '--groups', 'Sales')).toBe(10)
    expect(await asked(WIKI, '--email', 'ann@corp.example')).toBe(10)
    expect(await asked('https://nowhere.corp.example/')).toBe(10)
    expect(await asked('https://wiki.corp.example/a%2fb')).toBe(10)
  })

  test('names the earlier routes of the host, and why they do not serve the request', async () => {
    const { out } = await explain('https://many.corp.example/x?v=1', '--email', 'ann@corp.example')
    expect(out.split('\n').filter((line) => line.includes(': it'))).toEqual([
      `Not       POST many.corp.example (${file}:17:5): it serves POST, and the request is GET`,
      `          many.corp.example/api (${file}:18:5): its prefix does not match /x`,
      `          many.corp.example x-beta="1" v="1" (${file}:19:5): it wants the header x-beta to be "1"`,
    ])
    const beta = await explain('https://many.corp.example/x?v=1', '--email', 'a@corp.example', '--header', 'X-Beta: 1')
    expect(beta.out).toContain('Route     many.corp.example x-beta="1" v="1"')
    expect(beta.out).toContain('          X-Beta: 1')
  })

  test('shows what the application gets, and no secret', async () => {
    const { out } = await explain(
      'https://secret.corp.example/a',
      '--groups',
      '',
      '--header',
      'Authorization: Bearer abc',
    )
    expect(out).toContain('Upstream  GET /v1/a HTTP/1.1 to http://secret:1')
    expect(out).toContain('host: api.internal')
    expect(out).toContain('x-key: [hidden]')
    expect(out).not.toMatch(/abc|never-shown/)
  })

  test('--json is one object with the whole of it', async () => {
    const { out } = await explain(WIKI, '--email', 'ann@corp.example', '--groups', 'Staff', '--json')
    expect(JSON.parse(out)).toMatchObject({
      request: { method: 'GET', url: WIKI },
      person: { email: 'ann@corp.example', groups: { names: ['Staff'] } },
      outcome: 'deny',
      reasons: ['groups-unauthorized'],
      route: { name: 'wiki.corp.example', defined_at: `${file}:10:5`, policy: 'rules', action: 'forward' },
      allow: [
        {
          op: 'and',
          value: 'false',
          criteria: [
            { name: 'domain', value: 'true' },
            { name: 'groups', value: 'false' },
          ],
        },
      ],
      upstream: null,
    })
    const { upstream } = JSON.parse((await explain('https://status.corp.example/', '--json')).out) as {
      upstream: { requestLine: string }
    }
    expect(upstream.requestLine).toBe('GET / HTTP/1.1')
  })

  test('a WebSocket comes from a page of its own host unless a header says otherwise', async () => {
    const from = async (...args: string[]) =>
      (await explain('wss://wiki.corp.example/', '--email', 'a@corp.example', '--groups', 'Engineering', ...args)).out
    expect(await from()).toContain('Decision  allow')
    expect(await from('--header', 'Origin: https://evil.example')).toContain('Decision  deny (origin-unauthorized)')
  })

  test('--from-log prints the decisions that would be another one', async () => {
    const log = join(folder, 'access.log')
    const line = (fields: object): string => JSON.stringify({ client_ip: '10.0.0.1', msg: 'request', ...fields })
    const lines = [
      line({ method: 'GET', host: 'status.corp.example', path: '/', decision: 'allow', reasons: ['public'] }),
      line({ method: 'GET', host: 'home.corp.example', path: '/a', decision: 'allow', reasons: ['public'] }),
      line({
        method: 'GET',
        host: 'gone.corp.example',
        path: '/',
        decision: 'allow',
        reasons: ['public'],
        user_id: 'u',
      }),
      line({ msg: 'started' }),
      'no json {',
      '',
    ]
    writeFileSync(log, lines.join('\n'))
    const { exitCode, out, err } = await cli(['explain', '--config', file, '--from-log', log, '--exit-code'])
    expect(exitCode).toBe(10)
    expect(out.split('\n')).toEqual([
      'GET https://home.corp.example/a as nobody',
      '  was  allow (public)',
      `  now  sign-in (user-unauthenticated), route home.corp.example (${file}:16:5)`,
      'GET https://gone.corp.example/ as u',
      '  was  allow (public)',
      '  now  not-found ()',
    ])
    expect(err).toContain('3 decisions, 2 of them would be another one now; 2 lines without a decision')
    const json = await cli(['explain', '--config', file, '--from-log', log, '--json'])
    expect(json.out.split('\n').map((text) => (JSON.parse(text) as { same: boolean }).same)).toEqual([
      true,
      false,
      false,
    ])
  })

  test('shows the Host that an upstream behind a socket gets', async () => {
    const { out } = await explain('https://socket.corp.example/', '--email', 'ann@corp.example')
    expect(out).toContain('to https+unix:///run/app.sock')
    expect(out).toContain('Headers   host: localhost')
  })

  test('says who answers when no policy decides', async () => {
    expect((await explain('https://nowhere.corp.example/')).out).toContain(
      'Decision  none: no route serves this address (404)',
    )
    expect((await explain('https://wiki.corp.example/.postern/user')).out).toContain(
      'Decision  none: Postern answers this path itself (user-json)',
    )
    expect((await explain('https://wiki.corp.example/a%2fb')).out).toContain(
      'Decision  none: the request is refused (400): escaped slash (%2F or %5C) in the path',
    )
    expect((await explain(WIKI, '--method', 'trace')).out).toContain('(405): method not allowed')
  })

  test.each([
    [['--url', 'wiki.corp.example'], 'expected a URL such as https://app.corp.example/, found "wiki.corp.example"'],
    [['--url', WIKI, '--ip', '10.0.0'], 'expected an IP address, found "10.0.0"'],
    [['--url', WIKI, '--live'], '--live needs --user, an Okta user id or login'],
    [['--url', WIKI, '--live', '--user', 'a@b.example', '--groups', 'A'], '--groups and --live: give one of them'],
  ])('wrong usage exits with 2: %s', async (args, message) => {
    expect(await cli(['explain', '--config', file, ...args])).toEqual({
      exitCode: 2,
      out: '',
      err: `postern: ${message}`,
    })
  })

  test('a store in memory is refused with the remedy', async () => {
    const { exitCode, out, err } = await explain(WIKI, '--user', 'ann@corp.example')
    expect([exitCode, out]).toEqual([2, ''])
    expect(err).toContain('storage.type is memory')
    expect(err).toContain('configure another store')
  })

  test('a configuration that is not valid exits with 3 and says where', async () => {
    const bad = join(folder, 'bad.yaml')
    writeFileSync(bad, `${CONFIG}cookie_expire: soon\n`)
    expect(await cli(['explain', '--config', bad, '--url', WIKI])).toEqual({
      exitCode: 3,
      out: '',
      err: `${bad}:26:16 cookie_expire: expected a duration such as 30s or 14h, found "soon"`,
    })
  })
})
