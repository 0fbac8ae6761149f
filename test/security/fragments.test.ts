/**
 * The page that begins a sign-in in a browser, and the one that ends it: who gets them, that they run one script and no
 * other (H07), and that no parameter leads elsewhere (H01 H02).
 */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { only } from '../support/gauntlet.ts'
import { sendRaw, type WireAnswer } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const DOCUMENT = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }

let world: World
beforeAll(async () => {
  world = await createTestWorld({
    routes: [
      { name: 'app', from: APP, prefix: '/', allow_any_authenticated_user: true, merge_slashes: false },
      { name: 'plain', from: 'http://plain.localhost', allow_any_authenticated_user: true, keep_fragment: false },
    ],
  })
})
afterAll(() => world.close())

const ask = async (
  target: string,
  headers: Readonly<Record<string, string>> = DOCUMENT,
  method = 'GET',
  host = 'app.localhost',
): Promise<WireAnswer> => {
  const lines = Object.entries({ host, connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}`)
  return only(
    await sendRaw(world.port, [`${method} ${target} HTTP/1.1`, ...lines, '', ''].join('\r\n'), { methods: [method] }),
  )
}
const attribute = ({ body }: WireAnswer, name: string) =>
  unescape(new RegExp(`<script[^>]* data-${name}="([^"]*)"`).exec(body)?.[1] ?? '')
const unescape = (text: string) => text.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&amp;', '&')
const scriptOf = ({ body }: WireAnswer) => only([...body.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)])[1] ?? ''

function expectOneScript(answer: WireAnswer): void {
  const hash = createHash('sha256').update(scriptOf(answer)).digest('base64')
  expect(answer.header('content-security-policy')).toBe(
    `default-src 'none'; script-src 'sha256-${hash}'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'`,
  )
  expect(answer.header('cache-control')).toBe('no-store')
  expect(answer.header('referrer-policy')).toBe('no-referrer')
  expect(answer.header('x-content-type-options')).toBe('nosniff')
  expect(answer.body).not.toMatch(/ on[a-z]+=|javascript:|<iframe|<svg/i)
}

describe('a signed-out navigation', () => {
  test('gets a page with one script, a challenge and the nonce, and leads to the sign-in', async () => {
    const answer = await ask('/x?q=1&r=%2F')
    expect(answer.status).toBe(401)
    expectOneScript(answer)
    expect(answer.header('www-authenticate')).toMatch(/^Bearer realm=/)
    expect(answer.header('location')).toBeUndefined()
    expect(answer.header('set-cookie')).toMatch(/^postern-nonce\..*HttpOnly/)
    const next = new URL(attribute(answer, 'next'))
    expect(next.origin + next.pathname).toBe('http://authenticate.localhost/.postern/sign_in')
    const back = new URL(next.searchParams.get('return_to') ?? '')
    expect(back.href).toBe(`${APP}/.postern/return?to=%2Fx%3Fq%3D1%26r%3D%252F`)
    expect(attribute(answer, 'key')).toBe(`postern${back.search}`)
    // Without scripts, too.
    expect(unescape(answer.body)).toContain(`<meta http-equiv="refresh" content="0; url=${next.href}"`)
    expect(Buffer.byteLength(answer.body)).toBeLessThan(4096)
  })

  test.each<readonly [string, Readonly<Record<string, string>>, string, string, number]>([
    ['of HEAD', DOCUMENT, 'HEAD', 'app.localhost', 302],
    ['in a frame', { ...DOCUMENT, 'sec-fetch-dest': 'iframe' }, 'GET', 'app.localhost', 302],
    ['of a program that says it reads HTML', { accept: 'text/html' }, 'GET', 'app.localhost', 302],
    ['of a route that wants none', DOCUMENT, 'GET', 'plain.localhost', 302],
    ['of a script', { ...DOCUMENT, 'sec-fetch-mode': 'cors' }, 'GET', 'app.localhost', 401],
  ])('%s gets none', async (_, headers, method, host, status) => {
    const answer = await ask('/x', headers, method, host)
    expect(answer.status).toBe(status)
    expect(answer.body).not.toContain('<script')
    if (status === 302) expect(answer.header('location')).toContain('return_to=http%3A%2F%2F')
  })

  test('of a form gets the page that says so', async () => {
    const answer = await ask('/x', { ...DOCUMENT, 'content-length': '0' }, 'POST')
    expect([answer.status, answer.header('location')]).toEqual([401, undefined])
    expect(answer.body).toContain('Your session is over')
  })

  test.each([
    `/"><script>alert(1)</script>`,
    `/x?"><script>alert(1)</script>`,
    `/x?'onload='alert(1)`,
    '/x?</script><script>alert(1)</script>',
    '/x?url=javascript:alert(1)',
    "/x?a=1;'b'",
  ])('of %s runs no script but ours', async (target) => {
    const answer = await ask(target)
    expect([400, 401]).toContain(answer.status)
    if (answer.status === 401) {
      expect([...answer.body.matchAll(/<script/g)]).toHaveLength(1)
      expect(answer.body).not.toContain('alert(1)</script>')
      const hash = createHash('sha256').update(scriptOf(answer)).digest('base64')
      expect(answer.header('content-security-policy')).toContain(`script-src 'sha256-${hash}'`)
    }
  })

  test('of two slashes comes back to them', async () => {
    const browser = world.browser()
    const first = await browser.ask(`${APP}//x//y?q`, { headers: DOCUMENT })
    const next = /data-next="([^"]*)"/.exec(first.body)?.[1]?.replaceAll('&amp;', '&') ?? ''
    const back = new URL(new URL(next).searchParams.get('return_to') ?? '')
    expect((await browser.ask(back)).headers.location).toBe(`${APP}//x//y?q`)
  })
})

describe('the page that it returns to', () => {
  test('leads to the address that was asked for', async () => {
    const answer = await ask('/.postern/return?to=%2Fx%3Fq%3D1')
    expect(answer.status).toBe(200)
    expectOneScript(answer)
    expect(attribute(answer, 'next')).toBe(`${APP}/x?q=1`)
    expect((await ask('/.postern/return?to=%2Fx%3Fq%3D1', { accept: 'text/html' })).header('location')).toBe(
      `${APP}/x?q=1`,
    )
  })

  test('a whole sign-in comes back by it', async () => {
    const browser = world.browser()
    const first = await browser.ask(`${APP}/deep?a=1`, { headers: DOCUMENT })
    const next = /data-next="([^"]*)"/.exec(first.body)?.[1]?.replaceAll('&amp;', '&') ?? ''
    const end = await world.signIn(browser, next, 'alice@example.com')
    expect([end.status, end.url.href]).toEqual([200, `${APP}/deep?a=1`])
  })
})

test('with strict cookies the hand-off goes on by a page: along a redirect from the provider none would be sent', async () => {
  world.reload({ cookie_same_site: 'strict' })
  const browser = world.browser()
  const handOff = await world.signIn(browser, 'http://plain.localhost/x?q=1', 'alice@example.com')
  expect([handOff.status, handOff.url.pathname]).toEqual([200, '/.postern/callback'])
  expect(handOff.body).toContain('data-next="http://plain.localhost/x?q=1"')
  expect(handOff.headers['set-cookie']?.at(-1)).toMatch(/^postern=.*SameSite=Strict/)
  expect(handOff.headers['referrer-policy']).toBe('no-referrer')
  expect((await browser.ask('http://plain.localhost/x?q=1')).status).toBe(200)
})
