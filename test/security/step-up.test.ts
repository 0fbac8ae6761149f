/**
 * I16: a provider that does not listen to `acr_values` and `max_age`, answers with an older sign-in, or says nothing of it.
 * The route stays closed, nothing goes round by itself, and the session that came of it is good elsewhere (RFC 9470 §6).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HostileIdp, startHostileIdp } from '../integration/identity/hostile-idp.ts'
import type { Answer, Browser } from '../support/browser.ts'
import { createTestWorld, type World } from '../support/world.ts'

const STRONG = 'http://strong.localhost/x'
const RECENT = 'http://recent.localhost/x'
const PLAIN = 'http://plain.localhost/x'

let idp: HostileIdp
let world: World
beforeAll(async () => {
  idp = await startHostileIdp()
  world = await createTestWorld({
    config: {
      idp_provider: 'oidc',
      idp_provider_url: idp.issuer,
      idp_client_id: 'postern',
      idp_client_secret: 'a-client-secret-of-a-provider-that-lies',
      idp_service_account: undefined,
    },
    routes: [
      { from: 'http://plain.localhost', allow_any_authenticated_user: true },
      { from: 'http://strong.localhost', allow_any_authenticated_user: true, acr_values: ['gold', 'silver'] },
      { from: 'http://recent.localhost', allow_any_authenticated_user: true, max_auth_age: '5m' },
    ],
  })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

interface Tried {
  readonly answer: Answer
  /** What the provider was asked, each time. */
  readonly asked: readonly URLSearchParams[]
}

/** Follows everything by itself, as a browser does; the provider signs in without a word. */
async function open(browser: Browser, url: string): Promise<Tried> {
  const asked: URLSearchParams[] = []
  let answer = await browser.go(url, (next) => next.origin === idp.issuer)
  while (answer.url.origin === idp.issuer && asked.length < 5) {
    const query = answer.url.searchParams
    asked.push(query)
    idp.nonce = query.get('nonce') ?? ''
    const callback = new URLSearchParams({ code: 'the-code', state: query.get('state') ?? '' })
    answer = await browser.go(
      `http://authenticate.localhost/oauth2/callback?${callback}`,
      (next) => next.origin === idp.issuer,
    )
  }
  return { answer, asked }
}

const seconds = (): number => Math.floor(Date.now() / 1000)

describe('a provider that', () => {
  test.each<readonly [string, string, object]>([
    ['says a weaker acr', STRONG, { acr: 'bronze' }],
    ['says no acr', STRONG, { acr: undefined }],
    ['says all of them at once', STRONG, { acr: 'gold silver' }],
    ['says a list', STRONG, { acr: ['gold'] }],
    ['says acr in another case', STRONG, { acr: 'Gold' }],
    ['says an old auth_time', RECENT, { auth_time: seconds() - 3600 }],
    ['says no auth_time', RECENT, { auth_time: undefined }],
    ['says an auth_time that lies ahead', RECENT, { auth_time: seconds() + 86_400 }],
    ['says an auth_time in milliseconds', RECENT, { auth_time: Date.now() }],
  ])('%s: 403 after one question, and so again', async (_what, url, claims) => {
    idp.behave({ claims: { ...claims } })
    const browser = world.browser()
    const before = world.received.length
    for (let attempt = 0; attempt < 2; attempt++) {
      const { answer, asked } = await open(browser, url)
      expect(answer.status).toBe(403)
      expect(asked).toHaveLength(1)
      expect(answer.body).toContain(`href="${url}"`)
    }
    expect(world.received.length).toBe(before)
    // It is a sign-in all the same.
    expect((await open(browser, PLAIN)).answer.status).toBe(200)
  })

  test('does as it is asked lets in, for as long as it says', async () => {
    idp.behave({ claims: { acr: 'silver', auth_time: seconds() } })
    const browser = world.browser()
    const strong = await open(browser, STRONG)
    expect([strong.answer.status, strong.asked.map((query) => query.get('acr_values'))]).toEqual([200, ['gold silver']])
    // One session, whose sign-in is good for both.
    const recent = await open(browser, RECENT)
    expect([recent.answer.status, recent.asked]).toEqual([200, []])
  })

  test('steps down takes the stronger sign-in away from the route that needs it, and from no other', async () => {
    idp.behave({ claims: { acr: 'gold', auth_time: seconds() - 3600 } })
    const browser = world.browser()
    expect((await open(browser, STRONG)).answer.status).toBe(200)
    idp.behave({ claims: { acr: 'bronze', auth_time: seconds() } })
    expect((await open(browser, RECENT)).answer.status).toBe(200)
    expect((await open(browser, STRONG)).answer.status).toBe(403)
    expect((await open(browser, PLAIN)).answer.status).toBe(200)
  })

  test.each([{ acr: 'bronze' }, { acr: undefined }])(
    'says it in userinfo alone, which signs nobody in (%j)',
    async (claims) => {
      idp.behave({ claims, userinfo: { sub: '00u-alice', acr: 'gold' } })
      expect((await open(world.browser(), STRONG)).answer.status).toBe(403)
    },
  )
})

test('somebody else who steps up gets a session of their own', async () => {
  idp.behave({ claims: { acr: 'bronze' } })
  const browser = world.browser()
  await open(browser, PLAIN)
  idp.behave({ claims: { acr: 'gold', sub: '00u-bob' }, userinfo: { sub: '00u-bob' } })
  expect((await open(browser, STRONG)).answer.status).toBe(200)
  const ends = world.log().filter(({ event }) => event === 'session-end')
  expect(ends.at(-1)).toMatchObject({ reason: 'replaced', user_id: '00u-alice' })
})
