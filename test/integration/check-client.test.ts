/** What `postern check --online` proves of a client at providers other than Okta. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { cli } from '../support/cli.ts'
import { listenOn, portOf, SHARED_SECRET } from '../support/world.ts'
import { SECRET, startStrictIdp, type StrictIdp } from './identity/strict-idp.ts'

const REDIRECT_URI = 'https://authenticate.corp.example/oauth2/callback'
const SIGN_OUT_URI = 'https://authenticate.corp.example/.postern/signed_out'

const folder = mkdtempSync(join(tmpdir(), 'postern-check-client-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What was said of the client, its addresses and its scopes. */
async function check(issuer: string, changes: Readonly<Record<string, unknown>> = {}): Promise<readonly string[]> {
  const path = join(folder, 'config.yaml')
  const settings = {
    authenticate_service_url: 'https://authenticate.corp.example',
    insecure_server: true,
    shared_secret: SHARED_SECRET,
    idp_provider: 'oidc',
    idp_provider_url: issuer,
    idp_client_id: 'web',
    idp_client_secret: SECRET,
    idp_scopes: ['email'],
    storage: { type: 'memory' },
    ...changes,
  }
  writeFileSync(path, stringify(settings), { mode: 0o600 })
  const { out, exitCode } = await cli(['check', '--online', path])
  const lines = out.split('\n')
  expect(exitCode).toBe(lines.some((line) => line.startsWith('FAIL')) ? 4 : 0)
  return lines.filter((line) =>
    /^(?:OK|NOTE|WARN|FAIL) +(?:client|redirect URI|sign-out URI|scopes|sign-in)/.test(line),
  )
}

describe.each([
  ['pushes nothing', false],
  ['requires pushed requests', true],
])('at node-oidc-provider, which %s,', (_, mustPush) => {
  let idp: StrictIdp
  beforeAll(async () => {
    const client = {
      client_secret: SECRET,
      redirect_uris: [REDIRECT_URI],
      post_logout_redirect_uris: [SIGN_OUT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code' as const],
    }
    const clients = [
      { ...client, client_id: 'web' },
      { ...client, client_id: 'posting', token_endpoint_auth_method: 'client_secret_post' as const },
      {
        ...client,
        client_id: 'elsewhere',
        redirect_uris: ['https://elsewhere.example/'],
        post_logout_redirect_uris: [],
      },
    ]
    idp = await startStrictIdp('', clients, { mustPush })
  })
  afterAll(() => idp.close())

  test('all of it is proven', async () => {
    const scopes = (client: string): string => `OK    scopes of client ${client}: the provider grants openid email`
    const of = (client: string): readonly string[] => [
      `OK    client ${client}: the provider accepts its id and secret`,
      `OK    redirect URI ${REDIRECT_URI}: the provider knows it`,
      scopes(client),
      `OK    sign-out URI ${SIGN_OUT_URI}: the provider has no objection`,
    ]
    expect(await check(idp.issuer)).toEqual(of('web'))
    expect(await check(idp.issuer, { idp_client_id: 'posting', idp_client_auth: 'post' })).toEqual(of('posting'))
  })

  test('addresses that are not registered', async () => {
    const lines = await check(idp.issuer, { idp_client_id: 'elsewhere' })
    expect(lines).toEqual([
      'OK    client elsewhere: the provider accepts its id and secret',
      `FAIL  redirect URI ${REDIRECT_URI}: the provider does not know it, so no sign-in can end; add it to the redirect URIs of client elsewhere, to the letter`,
      `FAIL  sign-out URI ${SIGN_OUT_URI}: the provider does not know it, so a sign-out ends at an error page; add it to the post-logout redirect URIs of client elsewhere, to the letter`,
    ])
  })

  test('a wrong secret, a wrong id', async () => {
    const [secret] = await check(idp.issuer, { idp_client_secret: 'of-yesterday' })
    expect(secret).toContain(
      mustPush
        ? 'FAIL  client web: the provider does not accept it (invalid_client'
        : 'FAIL  client web: the provider knows it, but does not accept its secret (invalid_client',
    )
    const [id] = await check(idp.issuer, { idp_client_id: 'wbe' })
    expect(id).toContain(
      mustPush
        ? 'FAIL  client wbe: the provider does not accept it (invalid_client'
        : 'FAIL  client wbe: the provider knows no such client (invalid_client',
    )
  })
})

/** The words and the status codes of Keycloak 26. */
describe('at Keycloak', () => {
  let server: Server
  let issuer = ''
  const registered = { client: 'web', redirect: REDIRECT_URI, scopes: 'openid email' }
  let known = registered
  beforeAll(async () => {
    const page = (text: string): string => `<html><body><h1>We are sorry...</h1><p>${text}</p></body></html>`
    server = await listenOn(
      createServer((req, res) => {
        const { pathname, searchParams: asked } = new URL(req.url ?? '/', issuer)
        const json = (status: number, body: object): void =>
          void res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
        const html = (status: number, text: string): void =>
          void res.writeHead(status, { 'content-type': 'text/html' }).end(page(text))
        const back = (error: string): void =>
          void res.writeHead(302, { location: `${REDIRECT_URI}?error=${error}&state=${asked.get('state')}` }).end()
        if (pathname === '/realms/corp/.well-known/openid-configuration') {
          const at = (name: string): string => `${issuer}/protocol/openid-connect/${name}`
          return json(200, {
            issuer,
            authorization_endpoint: at('auth'),
            token_endpoint: at('token'),
            jwks_uri: at('certs'),
            end_session_endpoint: at('logout'),
            scopes_supported: ['openid', 'email'],
          })
        }
        if (pathname.endsWith('/certs')) return json(200, { keys: [{ kty: 'RSA' }] })
        if (pathname.endsWith('/auth')) {
          if (asked.get('client_id') !== known.client) return html(400, 'Client not found.')
          if (asked.get('redirect_uri') !== known.redirect) return html(400, 'Invalid parameter: redirect_uri')
          return back(asked.get('scope') === known.scopes ? 'login_required' : 'invalid_scope')
        }
        if (pathname.endsWith('/logout')) {
          return asked.get('post_logout_redirect_uri') === SIGN_OUT_URI
            ? html(200, 'Do you want to log out?')
            : html(400, 'Invalid redirect uri')
        }
        // Both are form-encoded (RFC 6749 §2.3.1).
        const sent = decodeURIComponent(
          Buffer.from(req.headers.authorization?.split(' ')[1] ?? '', 'base64').toString(),
        )
        if (sent === `${known.client}:${SECRET}`)
          return json(400, { error: 'invalid_grant', error_description: 'Code not valid' })
        json(401, { error: 'unauthorized_client', error_description: 'Invalid client or Invalid client credentials' })
      }),
    )
    issuer = `http://127.0.0.1:${portOf(server)}/realms/corp`
  })
  afterEach(() => (known = registered))
  afterAll(() => new Promise((resolve) => server.close(resolve)))

  test('all of it is proven', async () => {
    expect(await check(issuer)).toEqual([
      'OK    client web: the provider accepts its id and secret',
      `OK    redirect URI ${REDIRECT_URI}: the provider knows it`,
      'OK    scopes of client web: the provider grants openid email',
      `OK    sign-out URI ${SIGN_OUT_URI}: the provider has no objection`,
    ])
  })

  test.each([
    [
      'a wrong secret',
      { idp_client_secret: 'of-yesterday' },
      'client web: the provider knows it, but does not accept its secret',
    ],
    ['a wrong id', { idp_client_id: 'wbe' }, 'client wbe: the provider knows no such client'],
    [
      'a refused scope',
      { idp_scopes: ['email', 'payroll'] },
      'scopes of client web: the provider refuses one of openid email payroll (invalid_scope)',
    ],
    [
      'another host',
      { authenticate_service_url: 'https://sign-in.corp.example' },
      'redirect URI https://sign-in.corp.example/oauth2/callback: the provider does not know it',
    ],
    [
      'another host',
      { authenticate_service_url: 'https://sign-in.corp.example' },
      'sign-out URI https://sign-in.corp.example/.postern/signed_out: the provider does not know it',
    ],
  ])('%s is told from the others: %j', async (_, changes, line) => {
    expect((await check(issuer, changes)).filter((each) => each.startsWith('FAIL')).join('\n')).toContain(
      `FAIL  ${line}`,
    )
  })
})
