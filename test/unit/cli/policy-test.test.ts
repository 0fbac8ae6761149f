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
routes:
  - {from: https://wiki.corp.example, to: http://wiki:8080, allowed_groups: [Engineering]}
  - from: https://pay.corp.example
    to: http://pay:8080
    policy:
      - allow: {and: [{claim/department: Finance}, {http_method: GET}]}
`

let folder = ''
let config = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-policy-test-'))
  config = join(folder, 'config.yaml')
  writeFileSync(config, CONFIG)
})
afterAll(() => rmSync(folder, { recursive: true }))

const tests = (): string => join(folder, 'wiki.test.yaml')
function run(text: string): Promise<Ran> {
  writeFileSync(tests(), text)
  return cli(['test', tests(), '--config', config])
}

describe('postern test', () => {
  test('a case may show a client certificate', async () => {
    const fixture = (name: string): string => new URL(`../config/fixtures/${name}`, import.meta.url).pathname
    const tls = `certificate_file: ${fixture('tls.crt')}\ncertificate_key_file: ${fixture('tls.key')}\ndownstream_mtls: {ca_file: ${fixture('mtls/ca.crt')}, enforcement: policy}`
    const policy =
      '{allow: {or: [{client_certificate: {san_uri: "spiffe://corp/ci", spki_hash: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}}]}}'
    writeFileSync(
      config,
      `${CONFIG.replace('insecure_server: true', tls)}  - {from: https://ci.corp.example, to: http://ci:1, policy: ${policy}}\n`,
    )
    const { exitCode, out } = await run(`cases:
  - {url: https://ci.corp.example/, who: nobody, expect: deny, reasons: [client-certificate-unauthorized]}
  - {url: https://ci.corp.example/, who: nobody, certificate: {uri: [spiffe://corp/ci]}, expect: deny}
  - {url: https://ci.corp.example/, who: nobody, certificate: {uri: [spiffe://corp/ci], spki_hash: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}, expect: allow}
`)
    writeFileSync(config, CONFIG)
    expect([exitCode, out]).toEqual([0, expect.stringContaining('3 cases passed')])
  })

  test('passes when each case has its expected decision', async () => {
    const { exitCode, out, err } = await run(`cases:
  - {name: engineers read, url: https://wiki.corp.example/, who: {email: ann@corp.example, groups: [Engineering]}, expect: allow, reasons: [groups-ok]}
  - {url: https://wiki.corp.example/, who: {email: bob@corp.example}, expect: deny, reasons: [groups-unauthorized]}
  - {url: https://wiki.corp.example/, who: nobody, expect: sign-in}
  - {url: https://wiki.corp.example/, who: {groups: unknown}, expect: unavailable}
  - {url: https://wiki.corp.example/, who: {groups: [Engineering], active: false}, expect: deny, reasons: [user-inactive]}
  - {url: https://pay.corp.example/, who: {claims: {department: Finance}}, expect: allow}
  - {url: https://pay.corp.example/, method: POST, who: {claims: {department: Finance}}, expect: deny}
  - {url: https://other.corp.example/, who: nobody, expect: not-found}
  - {url: https://wiki.corp.example/.postern/, who: nobody, expect: control}
  - {url: https://wiki.corp.example/%2f, who: nobody, expect: bad-request}
`)
    expect([exitCode, err]).toEqual([0, ''])
    expect(out.split('\n')).toEqual([
      'ok    engineers read',
      'ok    GET https://wiki.corp.example/ as bob@corp.example',
      'ok    GET https://wiki.corp.example/ as nobody',
      'ok    GET https://wiki.corp.example/ as somebody, groups unknown',
      'ok    GET https://wiki.corp.example/ as somebody, in Engineering, not active',
      'ok    GET https://pay.corp.example/ as somebody',
      'ok    POST https://pay.corp.example/ as somebody',
      'ok    GET https://other.corp.example/ as nobody',
      'ok    GET https://wiki.corp.example/.postern/ as nobody',
      'ok    GET https://wiki.corp.example/%2f as nobody',
      '10 cases passed',
    ])
  })

  test('a program comes in where service tokens are taken, with the groups of its own', async () => {
    const file = join(folder, 'programs.yaml')
    writeFileSync(
      file,
      `${CONFIG}  - {from: https://ci.corp.example, to: http://ci:1, allowed_groups: [Deployers], service_tokens: true}\n`,
    )
    writeFileSync(
      tests(),
      `cases:
  - {url: https://ci.corp.example/, who: {service_account: ci, groups: [Deployers]}, expect: allow, reasons: [groups-ok]}
  - {url: https://ci.corp.example/, who: {service_account: ci}, expect: deny, reasons: [groups-unauthorized]}
  - {url: https://wiki.corp.example/, who: {service_account: ci, groups: [Engineering]}, expect: bad-token, reasons: [token-scope]}
`,
    )
    const { exitCode, out } = await cli(['test', tests(), '--config', file])
    expect(out.split('\n')[0]).toBe('ok    GET https://ci.corp.example/ as service account ci')
    expect(exitCode).toBe(0)
  })

  test('a case with another decision exits with 1 and shows the reasons', async () => {
    const { exitCode, out } = await run(`cases:
  - name: sales stay outside
    url: https://wiki.corp.example/
    who: {email: bob@corp.example, groups: [Sales, Engineering]}
    expect: deny
    reasons: [groups-unauthorized]
  - {url: https://wiki.corp.example/, who: {groups: [Engineering]}, expect: allow, reasons: [email-ok]}
  - {url: https://wiki.corp.example/, who: nobody, expect: sign-in}
`)
    expect(exitCode).toBe(1)
    expect(out.split('\n')).toEqual([
      `FAIL  sales stay outside (${tests()}:2:5)`,
      '      GET https://wiki.corp.example/ as bob@corp.example, in Sales, Engineering',
      '      expected  deny (groups-unauthorized)',
      `      found     allow (groups-ok), route wiki.corp.example (${config}:9:5)`,
      '      true     allow if any of',
      '      true       groups has "Engineering"',
      `FAIL  GET https://wiki.corp.example/ as somebody, in Engineering (${tests()}:7:5)`,
      '      expected  allow (email-ok)',
      `      found     allow (groups-ok), route wiki.corp.example (${config}:9:5)`,
      '      true     allow if any of',
      '      true       groups has "Engineering"',
      'ok    GET https://wiki.corp.example/ as nobody',
      '2 of 3 cases failed',
    ])
  })

  test('a table that is not valid exits with 3 and names every mistake with its position', async () => {
    const { exitCode, out, err } = await run(`cases:
  - {url: wiki, who: nobody, expect: allow}
  - {url: https://wiki.corp.example/, who: somebody, expect: allowed, reason: [x]}
  - {url: https://wiki.corp.example/, who: {gruops: []}, expect: allow}
  - {url: https://wiki.corp.example/, who: nobody, ip: here}
`)
    expect([exitCode, out]).toEqual([3, ''])
    const at = tests()
    expect(err.split('\n')).toEqual([
      `${at}:2:11 cases[0].url: expected a URL such as https://app.corp.example/`,
      `${at}:3:44 cases[1].who: expected \`nobody\`, a map with user, email, groups (a list, or \`unknown\`), claims, active and provider, or one with service_account and groups`,
      `${at}:3:62 cases[1].expect: expected one of allow, sign-in, deny, bad-token, unavailable, not-found, control, bad-request`,
      `${at}:3:71 cases[1]: unknown key "reason" (did you mean "reasons"?)`,
      `${at}:4:45 cases[2].who: unknown key "gruops" (did you mean "groups"?)`,
      `${at}:5:5 cases[3].expect: expected one of allow, sign-in, deny, bad-token, unavailable, not-found, control, bad-request`,
      `${at}:5:56 cases[3].ip: expected an IP address`,
    ])
  })

  test('an empty table and invalid YAML are errors', async () => {
    expect(await run('cases: []\n')).toEqual({
      exitCode: 3,
      out: '',
      err: `${tests()}:1:8 cases: expected a list of at least one case`,
    })
    expect((await run('cases: [\n')).exitCode).toBe(3)
    expect((await run('')).exitCode).toBe(3)
  })

  test('a missing table is wrong usage', async () => {
    expect(await cli(['test', join(folder, 'none.yaml'), '--config', config])).toEqual({
      exitCode: 2,
      out: '',
      err: `postern: cannot read ${join(folder, 'none.yaml')}: no such file`,
    })
  })

  test('asks at a time and with headers', async () => {
    const policy =
      '{allow: {and: [{time_of_day: {timezone: UTC, after: "08:00", before: "18:00"}}, {http_header/X-Env: beta}]}}'
    writeFileSync(config, `${CONFIG}  - {from: https://day.corp.example, to: http://day, policy: ${policy}}\n`)
    const { exitCode, out } = await run(`cases:
  - {url: https://day.corp.example/, at: '2026-01-31T09:00:00Z', headers: {X-Env: beta}, who: nobody, expect: allow}
  - {url: https://day.corp.example/, at: '2026-01-31T09:00:00+05:00', headers: {X-Env: beta}, who: nobody, expect: deny}
  - {url: https://day.corp.example/, at: '2026-01-31T09:00:00Z', who: nobody, expect: deny}
`)
    writeFileSync(config, CONFIG)
    expect(out.split('\n').at(-1)).toBe('3 cases passed')
    expect(exitCode).toBe(0)
    const bad = await run(`cases: [{url: 'https://day.corp.example/', at: noon, who: nobody, expect: allow}]`)
    expect(bad.err).toContain('expected a time such as 2026-01-31T09:00:00+01:00')
  })

  test('--coverage names what no case has decided', async () => {
    writeFileSync(
      tests(),
      `cases:
  - {url: https://pay.corp.example/, who: {claims: {department: Finance}}, expect: allow}
  - {url: https://pay.corp.example/, method: POST, who: {claims: {department: Finance}}, expect: deny}
`,
    )
    const { out } = await cli(['test', tests(), '--config', config, '--coverage'])
    expect(out.split('\n').slice(2)).toEqual([
      '',
      '3 of 6 outcomes of criteria decided',
      `wiki.corp.example (${config}:9:5): no case`,
      `pay.corp.example (${config}:10:5)`,
      '  allow if claim/department has "Finance": never false',
      '',
      '2 cases passed',
    ])
  })

  test('--json is one object', async () => {
    writeFileSync(
      tests(),
      `cases:
  - {name: a, url: https://wiki.corp.example/, who: {groups: [Engineering]}, expect: allow}
  - {name: b, url: https://wiki.corp.example/, who: {groups: [Engineering]}, expect: deny}
`,
    )
    const { exitCode, out } = await cli(['test', tests(), '--config', config, '--json', '--coverage'])
    expect(exitCode).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      failed: 1,
      cases: [
        { name: 'a', ok: true, route: 'wiki.corp.example' },
        { name: 'b', ok: false, expected: { outcome: 'deny' }, found: { outcome: 'allow', reasons: ['groups-ok'] } },
      ],
      coverage: { seen: 1, all: 6 },
    })
  })

  test('the suite in examples/ passes and covers every route', async () => {
    const env = {
      SHARED_SECRET: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
      IDP_CLIENT_SECRET: 'the-client-secret',
      IDP_SERVICE_ACCOUNT: '00an-api-token-that-opens-nothing',
    }
    const args = ['test', 'examples/policies.test.yaml', '--config', 'examples/config.yaml', '--coverage']
    const { exitCode, out, err } = await cli(args, { env })
    expect([exitCode, err]).toEqual([0, ''])
    expect(out).not.toContain('no case')
  })
})
