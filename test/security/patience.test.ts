/**
 * What browsers and people do in the middle of a sign-in (I15): twenty tabs in any order, cookies blocked, a provider that
 * goes down and comes back, callbacks and forms that are sent again. Nothing goes round for ever, and nothing is a dead end.
 */
import * as fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Answer, Browser } from '../support/browser.ts'
import { createCookieJar, signInWith } from '../support/okta-sign-in.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const AUTH = 'authenticate.localhost'
const HOSTS = ['app', 'wiki', 'ci']
const DOCUMENT = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
const MAX_HOPS = 30

let world: World
beforeAll(async () => {
  world = await createTestWorld({
    routes: HOSTS.map((name) => ({ name, from: `http://${name}.localhost`, allow_any_authenticated_user: true })),
  })
})
afterEach(() => world.okta.clearFaults())
afterAll(() => world.close())

/** As a browser with scripts: follows redirects and pages that go on by themselves; `forget` runs after each answer. */
async function walk(browser: Browser, from: string | URL, forget = () => {}): Promise<Answer> {
  let url = new URL(from)
  for (let hop = 0; hop < MAX_HOPS; hop++) {
    if (url.origin === world.okta.url) return { url, status: 0, headers: {}, body: '' }
    const answer = await browser.ask(url, { headers: DOCUMENT })
    forget()
    const next = answer.headers.location ?? /data-next="([^"]*)"/.exec(answer.body)?.[1]?.replaceAll('&amp;', '&')
    if (next === undefined) return answer
    url = new URL(next, url)
  }
  throw new Error(`more than ${MAX_HOPS} steps from ${String(from)}`)
}

const atProvider = ({ url }: Answer) => url.origin === world.okta.url
const linkIn = (body: string) => /<a class="button" href="([^"]+)"/.exec(body)?.[1]?.replaceAll('&amp;', '&') ?? ''

test('twenty tabs of three hosts finish in any order, and all arrive', async () => {
  const tabs = Array.from({ length: 20 }, (_, tab) => tab)
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray(tabs, { minLength: 20 }),
      fc.array(fc.nat(2), { minLength: 20, maxLength: 20 }),
      async (order, hosts) => {
        const browser = world.browser()
        const okta = createCookieJar()
        const addresses = tabs.map((tab) => `http://${HOSTS[hosts[tab] ?? 0]}.localhost/tab/${tab}?q=${tab}`)
        const waiting: URL[] = []
        for (const address of addresses) waiting.push((await walk(browser, address)).url)
        for (const host of browser.cookies.keys()) {
          const held = [...(browser.cookies.get(host) ?? [])].map((pair) => pair.join('=')).join('; ')
          expect(held.length).toBeLessThan(8192)
        }
        for (const tab of order) {
          let here = await walk(
            browser,
            await signInWith(world.okta.url, waiting[tab] ?? '', 'alice@example.com', okta),
          )
          if (atProvider(here))
            here = await walk(browser, await signInWith(world.okta.url, here.url, 'alice@example.com', okta))
          expect([here.status, here.url.href]).toEqual([200, addresses[tab]])
        }
      },
    ),
    { numRuns: 4 },
  )
})

describe('a browser that keeps no cookies', () => {
  test.each([
    ['of any host', ['app.localhost', AUTH]],
    ['of the application', ['app.localhost']],
    ['of the sign-in service', [AUTH]],
  ])('%s ends at a page with a way on, and goes round nowhere', async (_, blocked) => {
    const browser = world.browser()
    const forget = () => blocked.forEach((host) => browser.cookies.get(host)?.clear())
    for (let round = 0; round < 2; round++) {
      const start = await walk(browser, `${APP}/x?q=1`, forget)
      const end = atProvider(start)
        ? await walk(browser, await signInWith(world.okta.url, start.url, 'alice@example.com'), forget)
        : start
      expect(end.status).toBe(400)
      expect(end.headers['content-type']).toContain('text/html')
      expect(new URL(linkIn(end.body)).origin).toBe(APP)
    }
  })
})

describe('a provider that is down in the middle', () => {
  test('is a page whose button leads to the same address, once it is back', async () => {
    const browser = world.browser()
    const okta = createCookieJar()
    const first = await walk(browser, `${APP}/first?a=1`)
    const second = await walk(browser, `${APP}/second`)
    const callback = await signInWith(world.okta.url, first.url, 'alice@example.com', okta)
    world.okta.fault({ path: '/oauth2/v1/token', act: { kind: 'status', status: 503 } })
    const failed = await walk(browser, callback)
    expect(failed.status).toBe(503)
    // The callback once more: its code is spent, and nothing is asked of the provider.
    expect((await walk(browser, callback)).status).toBe(400)
    world.okta.clearFaults()
    const again = await walk(browser, linkIn(failed.body))
    expect(atProvider(again)).toBe(true)
    const landed = await walk(browser, await signInWith(world.okta.url, again.url, 'alice@example.com', okta))
    expect([landed.status, landed.url.href]).toEqual([200, `${APP}/first?a=1`])
    const other = await walk(browser, await signInWith(world.okta.url, second.url, 'alice@example.com', okta))
    expect([other.status, other.url.href]).toEqual([200, `${APP}/second`])
    // And the one that failed, for whoever goes Back to it.
    expect((await walk(browser, callback)).url.href).toBe(`${APP}/first?a=1`)
  })

  test('puts nobody out who is signed in', async () => {
    const browser = world.browser()
    await world.signIn(browser, `${APP}/`, 'alice@example.com')
    world.okta.fault({ path: '/', act: { kind: 'cut' } })
    expect((await walk(browser, 'http://wiki.localhost/x')).url.href).toBe('http://wiki.localhost/x')
  })
})

test('the JSON about oneself, opened in a window signed out, asks for a sign-in and comes back', async () => {
  const browser = world.browser()
  const start = await walk(browser, `${APP}/.postern/user`)
  const end = await walk(browser, await signInWith(world.okta.url, start.url, 'alice@example.com'))
  expect([end.status, end.url.href]).toEqual([200, `${APP}/.postern/user`])
})

describe('a navigation by any method is answered with a page', () => {
  const PATHS = [
    '/x',
    '/.postern/',
    '/.postern/user',
    '/.postern/sign_out',
    '/.postern/end_session',
    '/.postern/callback?code=x',
    '/.postern/return?to=x',
    '/.postern/nothing',
    '/%2e%2e%2fx',
  ]
  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('%s', async (method) => {
    for (const host of [APP, `http://${AUTH}`]) {
      for (const path of PATHS) {
        const body = method === 'GET' || method === 'OPTIONS' ? {} : { body: 'a=1' }
        const answer = await world.browser().ask(host + path, { method, headers: DOCUMENT, ...body })
        const at = { method, host, path, status: answer.status }
        if (answer.status >= 300 && answer.status < 400) continue
        expect({ ...at, type: answer.headers['content-type'] }).toEqual({ ...at, type: 'text/html; charset=utf-8' })
      }
    }
  })
})
