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
      'Decision  allow (domain-ok, groups-ok)',
    ])
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

  test('says who answers when no policy decides', async () => {
    expect((await explain('https://nowhere.corp.example/')).out).toContain(
      'Decision  none: no route serves this address (404)',
    )
    expect((await explain('https://wiki.corp.example/.postern/user')).out).toContain(
      'Decision  none: Postern answers this path itself (user-json)',
    )
    expect((await explain('https://wiki.corp.example/a%2fb')).out).toContain(
      'Decision  none: the request is refused before any route is looked for (400): escaped slash (%2F or %5C) in the path',
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
    expect(err).toContain('configure the embedded store')
  })

  test('a configuration that is not valid exits with 3 and says where', async () => {
    const bad = join(folder, 'bad.yaml')
    writeFileSync(bad, `${CONFIG}cookie_expire: soon\n`)
    expect(await cli(['explain', '--config', bad, '--url', WIKI])).toEqual({
      exitCode: 3,
      out: '',
      err: `${bad}:17:16 cookie_expire: expected a duration such as 30s or 14h, found "soon"`,
    })
  })
})
