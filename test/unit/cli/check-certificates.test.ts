/** `postern check` looks at certificates and files before clients do. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { crlEnd } from '../../../src/lib/x509.ts'
import { epochMillis } from '../../../src/lib/time.ts'
import { type Authority, createAuthorities, type Issued } from '../../support/authority.ts'
import { cli } from '../../support/cli.ts'
import { SHARED_SECRET } from '../../support/world.ts'

const authorities = createAuthorities()
const folder = mkdtempSync(join(tmpdir(), 'postern-check-certificates-'))
let root: Authority
let between: Authority
let good: Issued
beforeAll(() => {
  root = authorities.root('Corp Root')
  between = root.intermediate('Corp Web')
  good = between.issue('web', web(90))
})
afterAll(() => {
  authorities.remove()
  rmSync(folder, { recursive: true })
})

const NAMES = ['DNS:authenticate.corp.example', 'DNS:*.corp.example']
const web = (days: number, names: readonly string[] = NAMES) => ({ names, usage: 'serverAuth', days })
const route = { from: 'https://app.corp.example', to: 'http://app:8080', allow_any_authenticated_user: true }

/** How it ended, and every line that is a finding. */
async function check(changes: Readonly<Record<string, unknown>>): Promise<readonly [number, ...string[]]> {
  const path = join(folder, 'config.yaml')
  const settings = {
    authenticate_service_url: 'https://authenticate.corp.example',
    shared_secret: SHARED_SECRET,
    idp_provider_url: 'https://corp.okta.com',
    idp_client_id: '0oa1',
    idp_client_secret: 'the-client-secret',
    storage: { type: 'memory' },
    certificate: good.cert + between.cert,
    certificate_key: good.key,
    certificate_authority: root.cert,
    routes: [route],
    ...changes,
  }
  writeFileSync(path, stringify(settings))
  chmodSync(path, 0o600)
  const { exitCode, out } = await cli(['check', path])
  return [exitCode, ...out.split('\n').filter((line) => /^(?:OK|NOTE|WARN|FAIL) /.test(line))]
}

const pair = ({ cert, key }: Issued, ...more: readonly Authority[]) => ({
  certificate: cert + more.map((each) => each.cert).join(''),
  certificate_key: key,
})
const named = 'certificate (authenticate.corp.example, *.corp.example)'

describe('the certificate that browsers see', () => {
  test('is good for as long as its chain', async () => {
    const [exitCode, ...lines] = await check({})
    expect([exitCode, lines]).toEqual([
      0,
      [expect.stringMatching(/^OK {4}certificate \(authenticate.corp.example, \*.corp.example\): good for \d+ days$/)],
    ])
  })

  test('has expired', async () => {
    expect(await check(pair(between.issue('web', web(-2)), between))).toEqual([
      3,
      `FAIL  ${named}: expired 2 days ago; renew it`,
    ])
  })

  test('expires soon', async () => {
    const [exitCode, ...lines] = await check(pair(between.issue('web', web(10)), between))
    expect([exitCode, lines]).toEqual([0, [expect.stringMatching(/^WARN {2}.*: expires in (?:9|10) days; renew it$/)]])
  })

  test('is for other names', async () => {
    const issued = between.issue('web', web(90, ['DNS:authenticate.corp.example']))
    const [exitCode, ...lines] = await check(pair(issued, between))
    expect([exitCode, lines[1]]).toEqual([
      3,
      'FAIL  certificate for app.corp.example: no certificate has this name, so browsers refuse the connection; add one to certificates, or have one made with this name',
    ])
  })

  test('covers a wildcard route only by a wildcard', async () => {
    const routes = [{ ...route, from: 'https://*.apps.corp.example' }]
    expect((await check({ routes })).join('\n')).toContain(
      'FAIL  certificate for x.apps.corp.example: no certificate has this name',
    )
    const more = between.issue('apps', web(90, ['DNS:*.apps.corp.example']))
    expect((await check({ routes, certificates: [{ cert: more.cert + between.cert, key: more.key }] }))[0]).toBe(0)
  })

  test('has its chain in the wrong order, or not all of it', async () => {
    const other = root.intermediate('Corp Mail')
    expect(await check(pair(good, other, between))).toEqual([
      0,
      `WARN  ${named}: its chain is out of order: Corp Mail has not issued the certificate before it; put its own certificate first, then each issuer`,
    ])
    expect(await check(pair(good))).toEqual([0, `NOTE  ${named}: was issued by Corp Web; see that clients trust it`])
  })

  test('is not looked for where it is ordered, or where another hop ends TLS', async () => {
    const none = { certificate: undefined, certificate_key: undefined }
    expect(await check({ ...none, insecure_server: true })).toEqual([0])
    expect(await check({ ...none, autocert: true })).toEqual([0])
  })
})

test('authorities and lists of revoked certificates of clients', async () => {
  const fresh = root.revoke([], 30)
  const mtls = (crl: string) => ({ downstream_mtls: { ca: root.cert, crl } })
  expect((await check(mtls(fresh)))[0]).toBe(0)
  const [exitCode, ...lines] = await check(mtls(root.revoke([], -3)))
  expect([exitCode, lines[1]]).toEqual([3, 'FAIL  downstream_mtls.crl, list 1: expired 3 days ago; renew it'])
})

test('the end of a list is read from its DER, and nonsense has none', () => {
  const end = crlEnd(root.revoke([], 30))
  const days = (epochMillis(end as never) - Date.now()) / 86_400_000
  expect(days).toBeGreaterThan(29)
  expect(days).toBeLessThan(31)
  const pem = (bytes: readonly number[]): string =>
    `-----BEGIN X509 CRL-----\n${Buffer.from(bytes).toString('base64')}\n-----END X509 CRL-----\n`
  for (const bytes of [
    [],
    [0x30],
    [0x30, 0x84],
    [0x30, 0x02, 0x30, 0x7f],
    [0x30, 0x85, 1, 1, 1, 1, 1],
    [0x30, 0x04, 0x30, 0x02, 0x02, 0x09],
  ])
    expect(crlEnd(pem(bytes))).toBeUndefined()
})

test('what is shown to upstreams, and whom they are trusted by', async () => {
  const client = between.issue('postern', { days: -1 })
  const to = {
    ...route,
    to: 'https://app:8443',
    tls_client_cert: client.cert,
    tls_client_key: client.key,
    tls_custom_ca: root.cert,
  }
  const [exitCode, , ...lines] = await check({ routes: [{ ...to, prefix: '/more' }, to] })
  expect([exitCode, lines]).toEqual([
    3,
    [
      expect.stringMatching(
        /^FAIL {2}tls_client_cert, .*config.yaml:\d+:\d+ \(.*postern\): expired 1 day ago; renew it$/,
      ),
    ],
  ])
})

describe('files', () => {
  beforeEach(() => chmodSync(folder, 0o755))

  test('with secrets that every user of the machine can read', async () => {
    const secret = join(folder, 'client-secret')
    writeFileSync(secret, 'the-client-secret')
    chmodSync(secret, 0o644)
    const changes = { idp_client_secret: undefined, idp_client_secret_file: secret }
    const [exitCode, , ...lines] = await check(changes)
    expect([exitCode, lines]).toEqual([
      0,
      [`WARN  file ${secret}: holds secrets, and every user of this machine can read it; chmod o-r ${secret}`],
    ])
    chmodSync(folder, 0o750)
    expect(await check(changes), 'nobody else comes into the folder').toHaveLength(2)
    chmodSync(folder, 0o755)
    chmodSync(secret, 0o640)
    expect(await check(changes)).toHaveLength(2)
    const [cert, key] = ['more.crt', 'more.key'].map((name) => join(folder, name))
    writeFileSync(cert ?? '', good.cert + between.cert, { mode: 0o644 })
    writeFileSync(key ?? '', good.key, { mode: 0o644 })
    expect((await check({ certificates: [{ cert, key }] })).filter((line) => /file /.test(String(line)))).toEqual([
      expect.stringContaining(`WARN  file ${key}: holds secrets`),
    ])
  })

  test('a configuration with a secret in it, and one without', async () => {
    await check({})
    const path = join(folder, 'config.yaml')
    chmodSync(path, 0o644)
    expect((await cli(['check', path])).out).toContain(`WARN  file ${path}: holds secrets`)
    const text = readFileSync(path, 'utf8')
    const env = { SHARED_SECRET, IDP_CLIENT_SECRET: 'the-client-secret', CERTIFICATE_KEY: good.key }
    writeFileSync(
      path,
      text
        .replaceAll(/^(?:shared_secret|idp_client_secret): .*\n/gm, '')
        .replace(/^certificate_key: \|\n(?: .*\n)+/m, ''),
    )
    const { out, exitCode } = await cli(['check', path], { env })
    expect([exitCode, out]).toEqual([0, expect.not.stringContaining('WARN')])
  })

  test('a store that cannot be made', async () => {
    const path = join(folder, 'config.yaml', 'store')
    const [exitCode, , ...lines] = await check({ storage: { type: 'embedded', path } })
    expect([exitCode, lines]).toEqual([
      3,
      [
        `FAIL  store ${path}: cannot be written by this user: ${join(folder, 'config.yaml')} is no folder; give it to the user of Postern, or write another storage.path`,
      ],
    ])
    expect((await check({ storage: { type: 'embedded', path: join(folder, 'not', 'there', 'yet') } }))[0]).toBe(0)
  })
})
