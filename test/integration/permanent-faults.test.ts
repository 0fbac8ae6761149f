/** Faults that waiting does not mend: each page says so, has the code that the log has, and sends nobody to try again. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { type ErrorCode, ERRORS } from '../../src/errors.ts'
import type { Answer } from '../support/browser.ts'
import { manualClock } from '../support/clock.ts'
import { EXPIRED, KEY } from '../unit/upstream/certificate.ts'
import { createTestWorld, type World, type WorldOptions } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const EVERYONE = 'http://everyone.localhost/'
const ALICE = 'alice@example.com'
const MINUTE = 60_000
const NO_DIRECTORY = { idp_provider: 'oidc', idp_service_account: undefined }

let world: World
let expired: Server | undefined
afterEach(async () => {
  await world?.close()
  await new Promise((resolve) => (expired ? expired.close(resolve) : resolve(undefined)))
  expired = undefined
})

async function begin(options: WorldOptions = {}): Promise<void> {
  world = await createTestWorld(options)
}

/** Its certificate is trusted, and was good until it expired. */
async function expiredServer(): Promise<string> {
  const server = createServer({ key: KEY, cert: EXPIRED }).on('tlsClientError', () => {})
  expired = server.listen(0, '127.0.0.1')
  await once(expired, 'listening')
  return `https://localhost:${(expired.address() as AddressInfo).port}`
}

const signIn = (url = EVERYONE): Promise<Answer> => world.signIn(world.browser(), url, ALICE)

/** Of a page that says that waiting does not help, and whose log line has its code. */
function expectPermanent(
  { status, headers, body }: Answer,
  expected: { readonly status: number; readonly code: ErrorCode },
) {
  expect([status, /<code>(ERR_\w+)<\/code>/.exec(body)?.[1]]).toEqual([expected.status, expected.code])
  expect(headers['retry-after']).toBeUndefined()
  expect(body).toContain('Waiting does not help')
  expect(body).not.toMatch(/passes by itself|[Tt]ry again in/)
  expect(world.log().filter(({ error }) => error === expected.code)).not.toEqual([])
}

test('a misspelt issuer', async () => {
  await begin()
  await world.restart({
    ...NO_DIRECTORY,
    idp_provider_url: `${world.okta.url}/oauth2/misspelt`,
  })
  expectPermanent(await world.browser().go(EVERYONE), { status: 500, code: 'ERR_IDP_ISSUER' })
})

test('an expired certificate of the identity provider', async () => {
  const url = await expiredServer()
  await begin()
  await world.restart({ ...NO_DIRECTORY, idp_provider_url: url, certificate_authority: EXPIRED })
  expectPermanent(await world.browser().go(EVERYONE), { status: 503, code: 'ERR_IDP_TLS' })
})

test('an expired certificate of the application', async () => {
  const to = await expiredServer()
  const route = { from: 'http://app.localhost', to, tls_custom_ca: EXPIRED, allow_public_unauthenticated_access: true }
  await begin({ routes: [route] })
  const page = await world.browser().go('http://app.localhost/')
  expectPermanent(page, { status: 502, code: 'ERR_UPSTREAM_CERTIFICATE' })
  expect(page.body).toContain('The certificate of the application is not valid.')
  expect(world.logText()).toContain('has expired')
})

test('a wrong client secret', async () => {
  await begin({ config: { idp_client_secret: 'not-the-secret-not-the-secret' } })
  expectPermanent(await signIn(), { status: 500, code: 'ERR_IDP_CLIENT' })
})

test('what everybody meets at the sign-in is one error with its remedy, and then a count every ten minutes', async () => {
  const clock = manualClock()
  await begin({ clock, config: { idp_client_secret: 'not-the-secret-not-the-secret' } })
  for (let i = 0; i < 3; i++) await signIn()
  const failed = () => world.log().filter(({ event }) => event === 'sign-in-failed')
  expect(failed().map(({ level, repeated }) => [level, repeated])).toEqual([
    ['error', undefined],
    ['debug', undefined],
    ['debug', undefined],
  ])
  expect(failed()[0]).toMatchObject({ error: 'ERR_IDP_CLIENT', remedy: ERRORS.ERR_IDP_CLIENT.remedy })
  clock.advance(10 * MINUTE)
  await signIn()
  expect(failed().at(-1)).toMatchObject({ level: 'error', repeated: 2 })
  expect(world.log().filter(({ level }) => level === 'error')).toMatchObject(
    [{}, {}].map(() => ({ event: 'sign-in-failed' })),
  )
})

const JSON_400 = { status: 400, headers: { 'content-type': 'application/json' } }

test('a scope that the provider does not know is such a fault, too; what one person meets is not', async () => {
  await begin()
  world.okta.fault({
    path: '/oauth2/v1/token',
    act: { kind: 'status', ...JSON_400, body: '{"error":"invalid_scope"}' },
  })
  for (let i = 0; i < 2; i++) await signIn()
  world.okta.clearFaults()
  world.okta.fault({
    path: '/oauth2/v1/token',
    act: { kind: 'status', ...JSON_400, body: '{"error":"access_denied"}' },
  })
  for (let i = 0; i < 2; i++) await signIn()
  const failed = world.log().filter(({ event }) => event === 'sign-in-failed')
  expect(failed.map(({ level, hint }) => [level, hint])).toEqual([
    ['error', 'scope-missing'],
    ['debug', 'scope-missing'],
    ['warn', 'access-denied'],
    ['warn', 'access-denied'],
  ])
  expect(failed[0]?.['remedy']).toContain('idp_scopes')
})

describe('a clock that is off by ten minutes', () => {
  test.each([
    ['behind', -10 * MINUTE],
    ['ahead', 10 * MINUTE + 5000],
  ])('%s', async (_, by) => {
    const clock = manualClock()
    await begin({ clock })
    const okta = manualClock(clock.now() - by)
    await world.close()
    await begin({ clock, okta: { clock: okta } })
    const page = await signIn()
    expectPermanent(page, { status: 500, code: 'ERR_CLOCK_SKEW' })
    expect(page.body).toContain("clock differs from the identity provider's by 10 minutes.")
  })
})

test('an API token that Okta refuses, for people and for programs', async () => {
  await begin({ config: { idp_service_account: 'this-is-not-the-token' } })
  const browser = world.browser()
  expectPermanent(await world.signIn(browser, ENGINEERING, ALICE), { status: 503, code: 'ERR_DIRECTORY_UNAUTHORIZED' })
  // One line, whoever met it first: the sign-in, the feed or a reading in the background.
  const told = world.log().filter(({ level, msg }) => level !== 'info' && level !== 'debug' && msg !== 'request')
  expect(told).toMatchObject([
    { level: 'error', error: 'ERR_DIRECTORY_UNAUTHORIZED', remedy: ERRORS.ERR_DIRECTORY_UNAUTHORIZED.remedy },
  ])
  const json = await browser.ask(ENGINEERING, { headers: { accept: 'application/json' } })
  expect(json.headers['retry-after']).toBeUndefined()
  expect(JSON.parse(json.body)).toEqual({
    error: 'unavailable',
    reason: 'groups-unknown',
    code: 'ERR_DIRECTORY_UNAUTHORIZED',
    request_id: expect.any(String) as string,
  })
})

test('a refused API token is told by the processes that do not read the directory, too, until it is good again', async () => {
  await begin({ config: { idp_service_account: 'this-is-not-the-token' } })
  const other = await world.another()
  const browser = other.browser()
  await world.signIn(browser, ENGINEERING, ALICE)
  const codeOf = async (): Promise<unknown> => {
    const { body } = await browser.ask(ENGINEERING, { headers: { accept: 'application/json' } })
    return (JSON.parse(body) as { readonly code?: unknown }).code
  }
  await expect.poll(codeOf).toBe('ERR_DIRECTORY_UNAUTHORIZED')
  // The next leader knows nothing of it, and takes back what the last one told.
  await world.restart({ idp_service_account: DEMO.apiToken })
  await other.close()
  const next = (await world.another()).browser()
  const answer = await world.signIn(next, ENGINEERING, ALICE)
  expect(answer.status).toBe(200)
})

test('an API token without the rights', async () => {
  await begin()
  world.okta.fault({ path: '/api/v1/users', act: { kind: 'status', status: 403 } })
  expectPermanent(await signIn(ENGINEERING), { status: 503, code: 'ERR_DIRECTORY_FORBIDDEN' })
})

test('an outage of Okta is no such fault: it says when to come back', async () => {
  await begin()
  world.okta.fault({ path: '/api/v1/users', act: { kind: 'status', status: 503 } })
  const page = await signIn(ENGINEERING)
  expect(page).toMatchObject({ status: 503, headers: { 'retry-after': '10' } })
  expect(page.body).toContain('This usually passes by itself: try again in 10 seconds.')
  expect(page.body).toContain('<code>ERR_DIRECTORY_UNREACHABLE</code>')
})
