import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { runCli } from '../../../cmd/postern/cli.ts'
import { parseConfig } from '../../../src/config/load.ts'

const env = {
  IDP_CLIENT_SECRET: 'the-client-secret',
  SHARED_SECRET: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
}

async function cli(args: readonly string[], environment: Record<string, string> = env) {
  const out: string[] = []
  const err: string[] = []
  const exitCode = await runCli(args, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    env: environment,
  })
  return { exitCode, out: out.join('\n'), err: err.join('\n') }
}

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-cli-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function file(text: string): Promise<string> {
  const path = join(folder, 'config.yaml')
  await writeFile(path, text)
  return path
}

const good = (issuer: string): string => `authenticate_service_url: https://authenticate.corp.example
idp_provider_url: ${issuer}
idp_client_id: 0oa1
insecure_server: true
routes:
  - from: https://app.corp.example
    to: http://app:8080
    allowed_groups: [Engineering]
`

describe('postern check', () => {
  test('prints what to register at Okta, and says on stderr what a missing service account costs', async () => {
    const path = await file(good('https://dev-1.okta.com'))
    const { exitCode, out, err } = await cli(['check', path])
    expect(exitCode).toBe(0)
    expect(out.split('\n')).toEqual([
      `${path} is valid: 1 route`,
      '',
      'Register with https://dev-1.okta.com for client 0oa1:',
      '  Sign-in redirect URI       https://authenticate.corp.example/oauth2/callback',
      '  Sign-out redirect URI      https://authenticate.corp.example/.postern/signed_out',
      '  Universal Logout endpoint  https://authenticate.corp.example/.postern/universal_logout',
      '',
      'Applications receive no identity headers: pass_identity_headers is not true',
      'Host that applications see: the one that people ask for',
      'Groups: from the claim "groups" of the sign-in: a change in the directory counts only at the next refresh or sign-in',
    ])
    expect(err).toContain(
      `${path}:1:1 idp_service_account: warning: missing, and rules ask for groups (first ${path}:6:5)`,
    )
  })

  test('does not ask for an address that some providers have no place for', async () => {
    const config = `idp_provider: google\n${good('https://accounts.google.com')}`
    const { out } = await cli(['check', await file(config)])
    expect(out).toMatch(
      /Sign-out redirect URI, where it has one +https:.*\n +Back-channel logout URL, where it has one +https:/,
    )
  })

  test('prints the headers that applications receive, and groups only when a rule asks for them', async () => {
    const path =
      await file(`${good('https://dev-1.okta.com').replace('allowed_groups: [Engineering]', 'allow_any_authenticated_user: true')}jwt_claims_headers: { X-Email: email }
pass_identity_headers: true
compatibility: pomerium
`)
    const { out, exitCode } = await cli(['check', path])
    expect(exitCode).toBe(0)
    expect(out).toContain('\nApplications receive X-Pomerium-Jwt-Assertion, X-Email')
    expect(out).not.toContain('Groups')
  })

  test('counts the same mistake in many routes', async () => {
    const routes = Array.from(
      { length: 1000 },
      (_, i) => `  - { from: "https://a${i}.corp.example", to: http://a, alowed_users: [] }\n`,
    )
    const { err, exitCode } = await cli(['check', await file(`${good('https://dev-1.okta.com')}${routes.join('')}`)])
    expect(exitCode).toBe(3)
    const lines = err.split('\n').filter((line) => line.includes('unknown key'))
    expect(lines).toHaveLength(3)
    expect(lines[2]).toMatch(/routes\[3\]: unknown key "alowed_users" .* \(and 997 more like it\)$/)
  })

  test('the configuration is an argument or --config, of check and of every command that takes no other', async () => {
    const path = await file(good('https://dev-1.okta.com'))
    for (const command of ['check', 'config print', 'explain --url https://app.corp.example/']) {
      const given = await cli([...command.split(' '), path])
      expect([command, given.exitCode]).toEqual([command, 0])
      expect(await cli([...command.split(' '), '--config', path])).toEqual(given)
    }
    expect(await cli(['check', path, '--config', '/other.yaml'])).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('given twice'),
    })
    expect((await cli(['run', '/nowhere.yaml'])).exitCode).toBe(3)
  })

  test('exits with 3 and names every mistake with its position', async () => {
    const path = await file(`${good('https://dev-1.okta.com')}    alowed_users: []\ncookie_expire: 5 apples\n`)
    expect(await cli(['check', path], { ...env, SHARED_SECRET: 'short' })).toEqual({
      exitCode: 3,
      out: '',
      err: [
        `${path}:9:5 routes[0]: unknown key "alowed_users" (did you mean "allowed_users"?)`,
        `${path}:10:16 cookie_expire: expected a duration such as 30s or 14h, found "5 apples"`,
        'environment SHARED_SECRET shared_secret: expected 32 bytes in base64, base64url or hex, or 32 characters; found 5 characters; run `postern secrets generate`',
      ].join('\n'),
    })
  })

  test('exits with 3 for a file that is not there', async () => {
    expect(await cli(['check', '/nowhere.yaml'])).toEqual({
      exitCode: 3,
      out: '',
      err: '/nowhere.yaml: cannot read the configuration: no such file',
    })
  })

  test('prints one object with --json', async () => {
    const path = await file(good('https://dev-1-admin.okta.com'))
    const { exitCode, out, err } = await cli(['check', '--json', path])
    expect([exitCode, err]).toEqual([3, ''])
    expect(JSON.parse(out)).toEqual({
      valid: false,
      errors: [
        {
          file: path,
          line: 2,
          column: 19,
          path: 'idp_provider_url',
          message: 'this is the address of the admin console; the org is https://dev-1.okta.com',
        },
      ],
      warnings: [expect.objectContaining({ path: 'idp_service_account' })],
    })
    const fine = await cli(['check', '--json', await file(good('https://dev-1.okta.com'))])
    expect(JSON.parse(fine.out)).toMatchObject({
      valid: true,
      routes: 1,
      redirect_uri: 'https://authenticate.corp.example/oauth2/callback',
      sign_out_redirect_uri: 'https://authenticate.corp.example/.postern/signed_out',
      universal_logout_uri: 'https://authenticate.corp.example/.postern/universal_logout',
      groups: 'claims',
    })
  })
})

describe('postern check --online', () => {
  let server: Server
  let origin = ''
  let answer: (req: IncomingMessage, res: ServerResponse) => void
  beforeAll(async () => {
    server = createServer((req, res) => answer(req, res))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterEach(() => server.closeAllConnections())
  afterAll(() => new Promise((resolve) => server.close(resolve)))

  /** The provider is the application, too. */
  const here = (): string => good(origin).replace('http://app:8080', origin)
  const withToken = { ...env, OKTA_API_TOKEN: '00the-token' }
  const problems = (out: string): readonly string[] => out.split('\n').filter((line) => /^(?:FAIL|WARN) /.test(line))
  const metadata = (more: object = {}) => ({
    issuer: origin,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    jwks_uri: `${origin}/keys`,
    ...more,
  })
  const keys: readonly [number, unknown] = [200, { keys: [{ kty: 'RSA' }] }]
  const asOkta = {
    '/keys': keys,
    '/token': [400, { error: 'invalid_grant' }],
    '/api/v1/users/me': [200, { profile: { login: 'reader@corp.example' } }],
    '/api/v1/groups?limit=200': [200, [{ id: '00g1', type: 'OKTA_GROUP', profile: { name: 'Engineering' } }]],
    '/api/v1/logs?limit=1': [200, []],
    '/api/v1/users?limit=1': [200, []],
  } as const
  function respond(answers: Readonly<Record<string, readonly [status: number, body: unknown]>>): void {
    answer = (req, res) => {
      const [status, body] = answers[req.url ?? ''] ?? [req.url?.startsWith('/authorize') ? 200 : 404, {}]
      const unauthorized = req.url?.startsWith('/api/') && req.headers.authorization !== 'SSWS 00the-token'
      res.writeHead(unauthorized ? 401 : status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
  }

  test('is green when the issuer, the token and the groups answer', async () => {
    respond({
      ...asOkta,
      '/.well-known/openid-configuration': [200, metadata()],
    })
    const { exitCode, out, err } = await cli(['check', '--online', await file(here())], withToken)
    expect([exitCode, err]).toEqual([0, ''])
    expect(out).toContain(`OK    identity provider ${origin}: discovery answers with this issuer`)
    expect(out).toContain(`OK    service account at ${origin}: the token belongs to reader@corp.example`)
    expect(out).toContain(`OK    groups at ${origin}: can be read`)
    expect(out).toContain(`OK    System Log at ${origin}: can be read: changes are looked for every 10 seconds`)
    expect(out).not.toContain('Event hook')
    expect(out).toContain('OK    client 0oa1: the provider accepts its id and secret')
    expect(out).toMatch(/^NOTE {2}redirect URI .*: the provider does not tell before somebody signs in/m)
    expect(out).toMatch(/\n\d+ checks in \d\.\d s: all is well$/)
  })

  test('says which signals another provider offers, and which acr_values it does not know', async () => {
    const text = `${here()}    acr_values: [phr]\nidp_provider: oidc\nshared_signals: {authorization: Bearer the-secret-of-a-stream}\n`
    const ask = async () => cli(['check', '--online', await file(text)])
    respond({
      '/.well-known/openid-configuration': [
        200,
        metadata({
          scopes_supported: ['groups'],
          backchannel_logout_supported: true,
          acr_values_supported: ['0', '1'],
        }),
      ],
      '/keys': keys,
      '/.well-known/ssf-configuration': [200, { issuer: origin, jwks_uri: `${origin}/keys` }],
    })
    const good1 = await ask()
    expect(good1.exitCode).toBe(0)
    expect(good1.out).toContain(
      '  Back-channel logout URL, where it has one  https://authenticate.corp.example/.postern/backchannel_logout',
    )
    expect(good1.out).toContain(
      '  Shared signals endpoint                    https://authenticate.corp.example/.postern/ssf',
    )
    expect(good1.out).toContain('OK    back-channel logout: the provider offers it: register the URL above')
    expect(good1.out).toContain(`OK    shared signals of ${origin}: tells its keys`)
    expect(good1.out).toContain(
      'WARN  acr_values of app.corp.example: the provider lists none of them, so nobody may come in; it lists 0, 1',
    )
    respond({
      '/.well-known/openid-configuration': [200, metadata({ scopes_supported: ['groups'] })],
      '/keys': keys,
    })
    const less = await ask()
    expect(less.exitCode).toBe(4)
    expect(less.out).toContain('NOTE  back-channel logout: the provider does not say that it has it')
    expect(less.out).toContain(
      `FAIL  shared signals of ${origin}: ${origin}/.well-known/ssf-configuration answered 404`,
    )
  })

  test('exits with 4 and says which issuer to write, and what is wrong with the token', async () => {
    respond({
      '/.well-known/openid-configuration': [200, { issuer: 'https://other.okta.com/oauth2/default' }],
      '/api/v1/users/me': [401, { errorCode: 'E0000011' }],
    })
    const { exitCode, out, err } = await cli(['check', '--online', await file(here())], withToken)
    expect([exitCode, err]).toEqual([4, ''])
    expect(problems(out)).toEqual([
      `FAIL  identity provider ${origin}: it calls itself https://other.okta.com/oauth2/default; write idp_provider_url: https://other.okta.com/oauth2/default`,
      `FAIL  service account at ${origin}: Okta does not accept the token: it is wrong, revoked, or was unused for 30 days; create one in Security > API > Tokens, as a Read-only Administrator`,
    ])
    expect(out).toMatch(/checks in \d\.\d s: 2 failed$/)
    expect(out).not.toContain('00the-token')
  })

  test('exits with 4 for an endpoint that no browser may be sent to', async () => {
    respond({
      ...asOkta,
      '/.well-known/openid-configuration': [200, metadata({ authorization_endpoint: 'javascript:alert(1)' })],
    })
    const { exitCode, out } = await cli(['check', '--online', await file(here())], withToken)
    expect(exitCode).toBe(4)
    expect(out).toContain(`FAIL  identity provider ${origin}: its authorization_endpoint is not an https URL`)
  })

  test('exits with 4 for a token that may not read groups', async () => {
    respond({
      ...asOkta,
      '/.well-known/openid-configuration': [200, metadata()],
      '/api/v1/groups?limit=200': [403, { errorCode: 'E0000006' }],
    })
    const { exitCode, out } = await cli(['check', '--online', await file(here())], withToken)
    expect([exitCode, problems(out)]).toEqual([
      4,
      [
        `FAIL  groups at ${origin}: the token may not do this (okta: GET /api/v1/groups answered 403 E0000006: the API token's administrator role does not allow it); create it as a Read-only Administrator`,
      ],
    ])
  })

  test('exits with 4 for a provider that cannot be reached, has no metadata, or answers with something else', async () => {
    const path = await file(good('http://127.0.0.1:1'))
    expect(await cli(['check', '--online', path])).toMatchObject({
      exitCode: 4,
      out: expect.stringContaining(
        'FAIL  identity provider http://127.0.0.1:1: no answer from 127.0.0.1:1: ',
      ) as string,
    })
    respond({})
    expect((await cli(['check', '--online', await file(here())])).out).toContain(
      `FAIL  identity provider ${origin}: ${origin}/.well-known/openid-configuration answered 404`,
    )
    answer = (_, res) => res.end('<html>')
    expect((await cli(['check', '--online', await file(here())])).out).toContain('is not a discovery document')
    answer = (_, res) => res.end('{"issuer')
    expect((await cli(['check', '--online', await file(here())])).out).toContain('is not a discovery document')
  })

  test.each([
    ['invalid_client', 4, 'FAIL  client 0oa1: the provider does not accept it (invalid_client); see idp_client_id'],
    ['unauthorized_client', 4, 'FAIL  client 0oa1: the provider does not accept it (unauthorized_client)'],
    ['invalid_grant', 0, 'OK    client 0oa1: the provider accepts its id and secret'],
    ['invalid_request', 0, 'NOTE  client 0oa1: cannot be proven before somebody signs in: it answered invalid_request'],
  ])('a code that never was is answered %s, which tells of the client', async (error, exitCode, line) => {
    respond({
      '/.well-known/openid-configuration': [200, metadata()],
      '/keys': keys,
      '/token': [400, { error }],
    })
    const ran = await cli(['check', '--online', await file(here())])
    expect(ran.exitCode).toBe(exitCode)
    expect(`${ran.out}\n${ran.err}`).toContain(line)
    expect(`${ran.out}\n${ran.err}`).not.toContain('the-client-secret')
  })

  test('exits with 4 when the provider takes too long', async () => {
    answer = () => {}
    const { exitCode, out } = await cli(['check', '--online', await file(`${here()}idp_timeout: 50ms\n`)])
    expect([exitCode, out]).toEqual([4, expect.stringContaining('it took too long')])
  })
})

describe('postern secrets generate', () => {
  const minimal =
    'authenticate_service_url: https://a.corp.example\nidp_provider_url: https://dev-1.okta.com\nidp_client_id: x\ninsecure_server: true\n'

  test('prints what `run` accepts, in YAML and for the environment', async () => {
    const yaml = (await cli(['secrets', 'generate'])).out
    expect(Object.keys(parse(yaml) as object)).toEqual(['shared_secret', 'signing_key'])
    expect(parseConfig(minimal + yaml, 'c', {}, () => '').kind).toBe('ok')

    const lines = (await cli(['secrets', 'generate', 'all', '--format', 'env'])).out.split('\n')
    const environment = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
    expect(Object.keys(environment)).toEqual(['SHARED_SECRET', 'SIGNING_KEY'])
    expect(parseConfig(minimal, 'c', environment, () => '').kind).toBe('ok')
  })

  test('prints only what was asked for, and never the same twice', async () => {
    const first = await cli(['secrets', 'generate', 'shared'])
    expect(first.out).toMatch(/^shared_secret: [A-Za-z0-9+/]{43}=$/)
    expect((await cli(['secrets', 'generate', 'shared'])).out).not.toBe(first.out)
    expect((await cli(['secrets', 'generate', 'shared', '--format', 'raw'])).out).toMatch(/^[A-Za-z0-9+/]{43}=$/)
    expect((await cli(['secrets', 'generate', 'signing-key', '--format', 'raw'])).out).toMatch(
      /^-----BEGIN PRIVATE KEY-----\n[^]*\n-----END PRIVATE KEY-----$/,
    )
    expect(await cli(['secrets', 'generate', '--format', 'raw'])).toEqual({
      exitCode: 2,
      out: '',
      err: 'postern: --format raw prints one value alone: expected shared or signing-key',
    })
    expect((await cli(['secrets', 'generate', 'signing-key'])).out).toMatch(
      /^signing_key: \|\n {2}-----BEGIN PRIVATE KEY-----\n/,
    )
  })
})

describe('postern', () => {
  test('version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect(await cli(['version'])).toEqual({ exitCode: 0, out: `postern ${version}`, err: '' })
    expect(JSON.parse((await cli(['version', '--json'])).out)).toEqual({
      name: 'postern',
      version,
      node: process.version,
    })
  })

  test('a wrong use exits with 2, a question for help with 0', async () => {
    for (const args of [
      ['chek'],
      ['check', '--onlin'],
      ['secrets', 'generate', 'all', '--format', 'xml'],
      ['secrets', 'generate', 'cookie'],
      ['check', 'a', 'b'],
      ['run', '--config'],
    ]) {
      const { exitCode, out, err } = await cli(args)
      expect([args, exitCode, out, err.length > 0]).toEqual([args, 2, '', true])
    }
    expect(await cli(['--help'])).toMatchObject({ exitCode: 0, err: '' })
  })
})
