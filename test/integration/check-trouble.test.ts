/** `postern check --online` when those whom it asks are away, in trouble, or somebody else: one line each, soon, with a remedy. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { stringify } from 'yaml'
import { cli } from '../support/cli.ts'
import { listenOn, portOf, SHARED_SECRET } from '../support/world.ts'

let folder = ''
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'postern-trouble-'))))
afterEach(() => rmSync(folder, { recursive: true }))

/** What `check --online` complains of when everybody is this server; undefined: nobody is there. */
async function complaints(listener: RequestListener | undefined, more: object = {}): Promise<readonly string[]> {
  const server = await listenOn(createServer(listener))
  const url = `http://127.0.0.1:${portOf(server)}`
  const close = (): void => {
    server.closeAllConnections()
    server.close()
  }
  if (listener) onTestFinished(close)
  else close()
  const path = join(folder, 'config.yaml')
  const settings = {
    authenticate_service_url: 'http://authenticate.localhost',
    shared_secret: SHARED_SECRET,
    idp_provider: 'okta',
    idp_provider_url: url,
    idp_client_id: '0oa1',
    idp_client_secret: 'the-secret',
    idp_service_account: '00the-token',
    storage: { type: 'memory' },
    token_issuers: { ci: { issuer: `${url}/ci`, audience: 'postern' } },
    shared_signals: { issuer: url, authorization: 'Bearer 0123456789012345678901234' },
    routes: [{ from: 'http://app.localhost', redirect: { host_redirect: 'x.example' }, allowed_groups: ['Sales'] }],
    ...more,
  }
  writeFileSync(path, stringify(settings), { mode: 0o600 })
  const { exitCode, out } = await cli(['check', '--online', path])
  expect(exitCode).toBe(4)
  return out
    .split('\n')
    .filter((line) => /^(?:FAIL|WARN) /.test(line))
    .map((line) => line.replaceAll(url, 'URL').replaceAll(new URL(url).host, 'HOST'))
}

const NOT_OKTA = 'what answers there is not Okta: see directory.okta.url, and proxies on the way'
const TOKENS = 'see issuer and jwks_url of token_issuers.ci, and that this machine may connect there'
const AGAIN = 'try again in a minute; if it stays so, ask whoever runs it'
const WHERE = 'and that this machine may connect there'

test('nobody is there: each is one line', async () => {
  expect(await complaints(undefined)).toEqual([
    `FAIL  identity provider URL: no answer from HOST: ECONNREFUSED; see idp_provider_url, ${WHERE}`,
    `FAIL  shared signals of URL: no answer from HOST: ECONNREFUSED; see shared_signals.issuer, ${WHERE}`,
    expect.stringMatching(new RegExp(`^FAIL  token issuer ci: .*ECONNREFUSED HOST; ${TOKENS}$`)),
    'FAIL  service account at URL: okta: GET /api/v1/users/me failed: connect ECONNREFUSED HOST; see directory.okta.url, that this machine may connect there, and status.okta.com',
  ])
})

test('they have trouble: nobody is told that an address is wrong', async () => {
  const answer =
    (status: number): RequestListener =>
    (_, res) =>
      void res.writeHead(status, { 'content-type': 'application/json' }).end('{}')
  expect(await complaints(answer(503))).toEqual([
    `FAIL  identity provider URL: URL/.well-known/openid-configuration answered 503; ${AGAIN}`,
    `FAIL  shared signals of URL: URL/.well-known/ssf-configuration answered 503; ${AGAIN}`,
    expect.stringMatching(/^FAIL {2}token issuer ci: .* answered 503; /),
    expect.stringMatching(/^FAIL {2}service account at URL: .* answered 503; .*status\.okta\.com$/),
  ])
  // Okta itself is asked again and again until its limit is new.
  const withoutOkta = await complaints(answer(429), { idp_service_account: undefined })
  expect(withoutOkta[0]).toBe(
    `FAIL  identity provider URL: URL/.well-known/openid-configuration answered 429; ${AGAIN}`,
  )
})

test.each<[what: string, answer: RequestListener, account: string]>([
  ['a page', (_, res) => void res.end('<html>'), 'answered with'],
  [
    'half of a document',
    (_, res) => void res.setHeader('content-type', 'application/json').end('{"a":'),
    'cannot be read',
  ],
  [
    'a document without end',
    (_, res) => {
      const more = (): void => void (res.write('x'.repeat(65_536)) ? setImmediate(more) : res.once('drain', more))
      res.on('error', () => {})
      more()
    },
    'answered with',
  ],
])('%s is no discovery document', async (_, answer, account) => {
  expect(await complaints(answer)).toEqual([
    'FAIL  identity provider URL: URL/.well-known/openid-configuration is not a discovery document; write idp_provider_url: the address of the org, as in https://corp.okta.com',
    'FAIL  shared signals of URL: URL/.well-known/ssf-configuration answered 200 and no metadata of this issuer; see shared_signals.issuer',
    expect.stringMatching(new RegExp(`^FAIL  token issuer ci: .*; ${TOKENS}$`)),
    expect.stringMatching(new RegExp(`^FAIL  service account at URL: .*${account}.*; ${NOT_OKTA}$`)),
  ])
})
