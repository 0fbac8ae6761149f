/**
 * O04: a log that is read by many holds nothing that opens anything (CVE-2022-23469 Traefik: Authorization in debug
 * logs; mod_auth_openidc 2026: tokens and client secrets in logs). Everything a sign-in has, everything that can fail
 * around it, at trace level; then the whole log is searched for every secret that was seen on the wire.
 */
import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Answer, Ask, Browser } from '../support/browser.ts'
import { request } from '../support/gauntlet.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, listenOn, portOf, SHARED_SECRET, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const OPEN = 'http://open.localhost'
const AUTH = 'http://authenticate.localhost'
const SECRET_PARAMETERS = ['code', 'state', 'nonce', 'code_challenge', 'signature', 'id_token_hint']

/** What was seen on the wire and must not be in the log, with where it was seen. */
const secrets = new Map<string, string>([
  [DEMO.clientSecret, 'client secret'],
  [Buffer.from(`${DEMO.clientId}:${DEMO.clientSecret}`).toString('base64'), 'client authentication'],
  [DEMO.apiToken, 'API token'],
  [SHARED_SECRET, 'shared secret'],
  ['a-bearer-token-of-the-application', 'Authorization'],
  [Buffer.from('someone:a-password').toString('base64'), 'Authorization'],
  ['a-cookie-of-the-application', 'Cookie'],
  ['a-secret-in-a-query', 'query'],
  ['a-secret-in-a-body', 'body'],
  ['a-secret-in-an-answer', 'answer'],
  ['eyJ', 'a JWT'],
])

function notice(answer: Answer): void {
  const { location, 'set-cookie': cookies = [] } = answer.headers
  for (const line of cookies) {
    const value = /^[^=]*=([^;]*)/.exec(line)?.[1] ?? ''
    for (const part of [value, ...value.split('.')])
      if (part.length > 12) secrets.set(part, `cookie of ${answer.url.host}`)
  }
  const url = location === undefined ? answer.url : new URL(location, answer.url)
  for (const [name, value] of [...answer.url.searchParams, ...url.searchParams]) {
    if (SECRET_PARAMETERS.includes(name) && value.length > 12) secrets.set(value, name)
  }
  const csrf = /name="csrf" value="([^"]+)"/.exec(answer.body)?.[1]
  if (csrf !== undefined) secrets.set(csrf, 'form token')
}

let world: World
let silent: Awaited<ReturnType<typeof listenOn>>
beforeAll(async () => {
  silent = await listenOn(createServer((req) => req.socket.destroy()))
  world = await createTestWorld({
    routes: [
      { name: 'group', from: APP, prefix: '/group', allowed_groups: ['Engineering'] },
      {
        name: 'dead',
        from: APP,
        prefix: '/dead',
        to: `http://127.0.0.1:${portOf(silent)}`,
        allow_any_authenticated_user: true,
      },
      { name: 'app', from: APP, allow_any_authenticated_user: true },
      { name: 'open', from: OPEN, allow_public_unauthenticated_access: true },
    ],
    // The parameters of a sign-in are looked at.
    config: { directory: { sign_in_timeout: '500ms' }, idp_pushed_requests: false },
  })
})
afterAll(async () => {
  await world.close()
  await new Promise((resolve) => {
    silent.close(resolve)
  })
})

/** Takes down every secret that passes by. */
function watched(browser: Browser = world.browser()): Browser {
  const ask = async (url: string | URL, options?: Ask): Promise<Answer> => {
    const answer = await browser.ask(url, options)
    notice(answer)
    return answer
  }
  return {
    cookies: browser.cookies,
    ask,
    async go(url, stop = () => false) {
      let answer = await ask(url)
      for (let hop = 0; hop < 20 && answer.headers.location !== undefined; hop++) {
        const next = new URL(answer.headers.location, answer.url)
        if (stop(next)) return { ...answer, url: next }
        answer = await ask(next)
      }
      return answer
    },
  }
}

async function callbackFor(browser: Browser, login: string, url = `${APP}/`): Promise<URL> {
  const { url: authorize } = await browser.go(url, (next) => next.origin === world.okta.url)
  const callback = await signInWith(world.okta.url, authorize, login)
  for (const name of ['code', 'state']) secrets.set(callback.searchParams.get(name) ?? name, name)
  return callback
}

const signIn = async (browser: Browser, login: string, url?: string) =>
  browser.go(await callbackFor(browser, login, url))

describe('while this happens', () => {
  test('sign-in, use, denial, account page, sign-out', async () => {
    const alice = watched()
    expect((await signIn(alice, 'alice@example.com')).status).toBe(200)
    expect((await alice.ask(`${APP}/group?access_token=a-secret-in-a-query&code=a-secret-in-a-query`)).status).toBe(200)
    expect((await alice.ask(`${APP}/.postern/`)).status).toBe(200)
    expect((await alice.ask(`${APP}/.postern/user`)).status).toBe(200)
    const page = await alice.ask(`${APP}/.postern/sign_out`)
    const out = await alice.ask(`${APP}/.postern/sign_out`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `csrf=${/name="csrf" value="([^"]+)"/.exec(page.body)?.[1]}`,
    })
    expect(out.status).toBe(303)
    const bob = watched()
    expect((await signIn(bob, 'bob@example.com', `${APP}/group`)).status).toBe(403)
  })

  test('credentials of the application pass', async () => {
    for (const authorization of [
      'Bearer a-bearer-token-of-the-application',
      `Basic ${Buffer.from('someone:a-password').toString('base64')}`,
    ]) {
      const answer = await watched().ask(`${OPEN}/?token=a-secret-in-a-query`, {
        method: 'POST',
        headers: { authorization, cookie: 'app=a-cookie-of-the-application', 'x-api-key': 'a-secret-in-a-query' },
        body: 'a-secret-in-a-body',
      })
      expect(answer.status).toBe(200)
    }
  })

  test('callbacks are replayed, of another browser, made up, or errors of the provider', async () => {
    const browser = watched()
    const callback = await callbackFor(browser, 'alice@example.com')
    expect((await browser.ask(callback)).status).toBe(302)
    // With the session of the first one it goes on; a browser without a session is refused.
    expect((await browser.ask(callback)).status).toBe(302)
    expect((await watched().ask(callback)).status).toBe(400)

    const victim = watched()
    const { url: authorize } = await victim.go(`${APP}/`, (next) => next.origin === world.okta.url)
    const planted = await callbackFor(watched(), 'bob@example.com')
    planted.searchParams.set('state', authorize.searchParams.get('state') ?? '')
    expect((await victim.ask(planted)).status).toBe(403)

    const refused = watched()
    const { url } = await refused.go(`${APP}/`, (next) => next.origin === world.okta.url)
    const error = new URLSearchParams({
      error: 'access_denied',
      state: url.searchParams.get('state') ?? '',
      code: 'a-secret-in-a-query',
    })
    expect((await refused.ask(`${AUTH}/oauth2/callback?${error}`)).status).toBe(403)
  })

  test('an identity provider answers with our own secrets', async () => {
    const body = `a-secret-in-an-answer ${DEMO.clientSecret} ${SHARED_SECRET} eyJhbGciOiJub25lIn0.e30.`
    for (const fault of [
      { kind: 'status', status: 500, body },
      { kind: 'status', status: 200, body },
      { kind: 'status', status: 400, body: JSON.stringify({ error: body, error_description: body }) },
    ] as const) {
      const browser = watched()
      const callback = await callbackFor(browser, 'alice@example.com')
      world.okta.fault({ path: '/oauth2/v1/token', act: fault })
      expect([403, 503]).toContain((await browser.ask(callback)).status)
      world.okta.clearFaults()
    }
  })

  test('a directory answers with our own token', async () => {
    const echoed = JSON.stringify({ errorCode: `SSWS ${DEMO.apiToken}`, errorSummary: DEMO.apiToken })
    for (const fault of [
      { kind: 'status', status: 500, body: echoed, headers: { 'content-type': 'application/json' } },
      {
        kind: 'status',
        status: 200,
        body: `SSWS ${DEMO.apiToken}`,
        headers: { 'content-type': `text/html; charset=${DEMO.apiToken}` },
      },
      { kind: 'status', status: 200, body: `{"${DEMO.apiToken}`, headers: { 'content-type': 'application/json' } },
      { kind: 'headers', headers: { link: `<https://evil.test/?token=${DEMO.apiToken}>; rel="next"` } },
      { kind: 'half' },
      { kind: 'status', status: 401, body: echoed, headers: { 'content-type': 'application/json' } },
    ] as const) {
      world.okta.fault({ path: '/api/v1/', act: fault })
      expect((await signIn(watched(), 'dave@example.com', `${APP}/group`)).status).not.toBe(200)
      world.okta.clearFaults()
    }
    expect(world.logText()).toContain('ERR_DIRECTORY_UNAUTHORIZED')
  })

  test('an application dies, requests are refused, cookies are garbage', async () => {
    const browser = watched()
    await signIn(browser, 'alice@example.com')
    expect((await browser.ask(`${APP}/dead?x=a-secret-in-a-query`)).status).toBe(502)
    const kept = browser.cookies.get('app.localhost')?.get('postern') ?? ''
    for (const [path, cookie] of [
      ['/..%2f?a-secret-in-a-query', `postern=${kept}`],
      ['/', `postern=${kept}x`],
      ['/', `postern=${kept}; postern=a-cookie-of-the-application`],
    ] as const) {
      await watched().ask(`${APP}/`, {
        headers: { cookie, accept: 'application/json', referer: `${APP}/?code=a-secret-in-a-query` },
      })
      await rawAsk(path, cookie)
    }
  })

  test('a restart', () => world.restart())
})

async function rawAsk(path: string, cookie: string): Promise<void> {
  await sendRaw(
    world.port,
    request('GET', path, `Cookie: ${cookie}`, 'Authorization: Bearer a-bearer-token-of-the-application'),
  )
}

test('the log says what happened and holds no secret', () => {
  const text = world.logText()
  for (const happened of [
    'signed in',
    'signed out',
    'sign-in did not complete',
    'ERR_UPSTREAM',
    'groups-unauthorized',
  ]) {
    expect(text).toContain(happened)
  }
  // What the page says to a person is not for the log.
  expect(text).not.toContain('whatToDo')
  // Cookies and codes of some thirty sign-ins.
  expect(secrets.size).toBeGreaterThan(150)
  const found = [...secrets].filter(([secret]) => text.includes(secret) || text.includes(encodeURIComponent(secret)))
  expect(found).toEqual([])
})

test('the log has a tag for each session that is not its id', () => {
  const tags = new Set(world.log().flatMap(({ session }) => (typeof session === 'string' ? [session] : [])))
  expect(tags.size).toBeGreaterThan(2)
  for (const tag of tags) expect(tag).toMatch(/^[\w-]{12}$/)
})
