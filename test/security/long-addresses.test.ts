/**
 * A long address survives the sign-in (kibana #8359), though cookies and URLs on the way stay small; what anonymous
 * requests make us keep is bounded, and its short link leads nowhere but to the host that it was made for.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Browser } from '../support/browser.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost/'
const FRONT_PAGE = 'the sign-in ends at the front page'

let clock: ManualClock
let world: World
beforeAll(async () => {
  clock = manualClock()
  world = await createTestWorld({
    // The parameters of a sign-in are looked at.
    config: { idp_pushed_requests: false },
    clock,
    routes: [
      { name: 'app', from: 'http://app.localhost', allow_any_authenticated_user: true },
      { name: 'other', from: 'http://other.localhost', allow_any_authenticated_user: true },
    ],
  })
})
afterAll(() => world.close())

/** What Kibana writes, as a browser sends it. */
function addressOf(length: number, origin = APP): string {
  const start = `${origin}app/kibana?_g=(filters:!(),query:(language:kuery,query:%27a%20and%20b%2Fc%27))&_a=`
  return start + 'x'.repeat(length - start.length)
}

/** As far as the provider's form. */
const begin = (browser: Browser, url: string) => browser.go(url, (next) => next.origin === world.okta.url)
const frontPages = () => world.log().filter(({ msg }) => msg === FRONT_PAGE)

/** On a connection of its own: a step of the clock closes idle ones. */
async function leadsTo(browser: Browser, url: string): Promise<string> {
  const headers = { accept: 'text/html', 'sec-fetch-mode': 'navigate', connection: 'close' }
  return (await browser.ask(url, { headers })).headers.location ?? ''
}

/** The short address in the link that begins a sign-in. */
async function shortOf(browser: Browser, url: string): Promise<string> {
  return new URL(await leadsTo(browser, url)).searchParams.get('return_to') ?? ''
}

test('a client that makes us keep more than 500 gets the front page; later it may again', async () => {
  const browser = world.browser()
  const ask = (i: number) => shortOf(browser, `${addressOf(600)}${i}`)
  const kept = await Promise.all(Array.from({ length: 500 }, (_, i) => ask(i)))
  expect(kept.every((short) => short.includes('/.postern/return?'))).toBe(true)
  expect(await ask(500)).toBe(APP)
  expect(frontPages().at(-1)).toMatchObject({
    reason: 'too many long addresses wait for a sign-in (500 of one client at most)',
  })
  expect(await ask(7)).toBe(kept[7])
  clock.advance(2 * 60 * 60_000)
  expect(await ask(500)).toContain('/.postern/return?')
})

describe('an address that was asked for signed out', () => {
  test.each([300, 513, 1500, 4000, 8192])(
    'of %i characters is the one that comes after the sign-in',
    async (length) => {
      const url = addressOf(length)
      const answer = await world.signIn(world.browser(), url, 'alice@example.com')
      expect([answer.status, answer.url.href]).toEqual([200, url])
      expect(JSON.parse(answer.body)).toMatchObject({ url: url.slice(APP.length - 1) })
    },
  )

  test('with a session at the host of the sign-in service it comes at once on another host', async () => {
    const browser = world.browser()
    await world.signIn(browser, APP, 'alice@example.com')
    const url = addressOf(4000, 'http://other.localhost/')
    expect((await browser.go(url)).url.href).toBe(url)
  })

  test('of more than 8,192 characters comes back at the front page, and the log says why', async () => {
    const answer = await world.signIn(world.browser(), addressOf(9000), 'alice@example.com')
    expect([answer.status, answer.url.href]).toEqual([200, APP])
    expect(frontPages().at(-1)).toMatchObject({
      reason: 'the address has 9000 characters, and at most 8192 are kept',
    })
    expect(world.logText()).not.toContain('xxxxxxxx')
  })

  test('five of them make small cookies, links and states', async () => {
    const browser = world.browser()
    for (let tab = 0; tab < 8; tab++) {
      const { url, headers } = await begin(browser, `${addressOf(8000)}${tab}`)
      expect(url.searchParams.get('state')?.length).toBeLessThan(1024)
      expect(headers.location?.length).toBeLessThan(2048)
    }
    for (const host of ['app.localhost', 'authenticate.localhost']) {
      const held = [...(browser.cookies.get(host) ?? [])]
      expect(held).toHaveLength(5)
      expect(held.map((pair) => pair.join('=')).join('; ').length).toBeLessThan(8192)
    }
  })
})

describe('the short address', () => {
  test('leads to the host it was made for alone, and any other link to the front page', async () => {
    const browser = world.browser()
    const url = addressOf(2000)
    const short = await shortOf(browser, url)
    expect(short).toMatch(/^http:\/\/app\.localhost\/\.postern\/return\?to=[\w-]{43}$/)
    expect(await leadsTo(browser, short)).toBe(url)
    expect(await leadsTo(browser, short.replace('//app.', '//other.'))).toBe('http://other.localhost/')
    for (const query of [
      '',
      '?to=',
      '?to=https://evil.example/',
      `?to=${'A'.repeat(43)}`,
      `${new URL(short).search}&to=x`,
    ])
      expect(await leadsTo(browser, `${APP}.postern/return${query}`)).toBe(APP)
    expect(frontPages().at(-1)).toMatchObject({ reason: 'the long address is unknown or has expired' })
  })

  test('is the same for the same address, and expires later than a sign-in', async () => {
    const browser = world.browser()
    const url = addressOf(1600)
    const short = await shortOf(browser, url)
    expect(await shortOf(world.browser(), url)).toBe(short)
    clock.advance(71 * 60_000)
    expect(await leadsTo(browser, short)).toBe(url)
    clock.advance(60 * 60_000)
    expect(await leadsTo(browser, short)).toBe(APP)
  })

  test('survives a restart in the middle of the sign-in', async () => {
    const browser = world.browser()
    const url = addressOf(1700)
    const callback = await signInWith(world.okta.url, (await begin(browser, url)).url, 'alice@example.com')
    await world.restart()
    expect((await browser.go(callback)).url.href).toBe(url)
  })
})
