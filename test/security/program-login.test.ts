/**
 * Section H05: programs that sign in with somebody's browser. Where the one-time code may go (CVE-2021-29651: Pomerium sent
 * a token to any address), what it is worth to others, and that no application's page can say yes for the person.
 */
import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { manualClock } from '../support/clock.ts'
import { type Browser } from '../support/browser.ts'
import { createGauntlet, expectNoSecrets, type Gauntlet, only, request } from '../support/gauntlet.ts'

const APP = 'http://app.localhost'
const ADMIN = 'http://admin.localhost'
const AUTH = 'http://authenticate.localhost'
const LOOPBACK = 'http://127.0.0.1:5555/callback'

const clock = manualClock(Date.now())
let gauntlet: Gauntlet
let browser: Browser
beforeAll(async () => {
  gauntlet = await createGauntlet({
    clock,
    config: { programmatic_redirect_domain_whitelist: ['tool.corp.example', 'tool.corp.example:8443', 'localhost'] },
  })
  browser = gauntlet.world.browser()
  await gauntlet.world.signIn(browser, `${APP}/user`, 'alice@example.com')
  await gauntlet.skip()
})
afterAll(() => gauntlet.close())

interface Program {
  readonly verifier: string
  readonly challenge: string
}

function program(): Program {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

/** The address that the program opens in a browser. */
async function begin(
  { challenge }: Program,
  more: Record<string, string> = { redirect_uri: LOOPBACK },
): Promise<string> {
  const query = new URLSearchParams({ code_challenge: challenge, code_challenge_method: 'S256', ...more })
  const answer = await gauntlet.world.browser().ask(`${APP}/.postern/api/v1/login?${query}`, { headers: {} })
  expect(answer.status, answer.body).toBe(200)
  return answer.body.trim()
}

/** What the person says on the page; gives where the browser goes, or the page. */
async function say(who: Browser, address: string, answer: 'allow' | 'deny' = 'allow') {
  const page = await who.ask(address)
  expect(page.status).toBe(200)
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
  const posted = await who.ask(address, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: AUTH, accept: 'text/html' },
    body: new URLSearchParams({ csrf, answer }).toString(),
  })
  expect(posted.status).toBe(200)
  const refresh = String(posted.headers['refresh'] ?? '')
  return { posted, page, back: refresh === '' ? undefined : new URL(refresh.replace(/^0;url=/, '')) }
}

async function exchange(code: string, verifier: string, origin = APP, more: Record<string, string> = {}) {
  const answer = await gauntlet.world.browser().ask(`${origin}/.postern/api/v1/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'authorization_code', code, code_verifier: verifier, ...more }).toString(),
  })
  return { status: answer.status, headers: answer.headers, body: JSON.parse(answer.body) as Record<string, unknown> }
}

async function codeOf(who: Browser, asked: Program): Promise<string> {
  const { back } = await say(who, await begin(asked))
  return back?.searchParams.get('code') ?? ''
}

describe('H05 the address of a program', () => {
  const CHALLENGE = program().challenge
  const ask = (redirectUri: string, more = `code_challenge=${CHALLENGE}&code_challenge_method=S256`) =>
    gauntlet.get(`/.postern/api/v1/login?${more}&redirect_uri=${encodeURIComponent(redirectUri)}`)

  test.each([
    'http://127.0.0.1:1',
    'http://127.0.0.1:65535/cb?x=1',
    'https://127.0.0.1/',
    'http://[::1]:4242/callback',
    'http://localhost:4242/',
    'https://tool.corp.example/cb',
    'https://TOOL.corp.example/cb',
    'https://tool.corp.example:8443/cb',
  ])('may be %s', async (address) => {
    const { statuses, answers } = await ask(address)
    expect(statuses).toEqual([200])
    expect(only(answers).body).toMatch(
      /^http:\/\/authenticate\.localhost\/\.postern\/api\/v1\/login\/confirm\?request=/,
    )
    expect(only(answers).header('cache-control')).toBe('no-store')
  })

  test.each([
    'https://evil.test',
    '//evil.test',
    'http://localhost.evil',
    'http://localhost.evil.test:1234',
    'http://127.0.0.1.nip.io',
    'http://127.0.0.1.evil.test:80/',
    'http://127.0.0.2:80/',
    'http://0.0.0.0:80/',
    'http://[::]:80/',
    'http://[::ffff:127.0.0.1]:80/',
    'http://[::1].evil.test/',
    'http://evil.test#@127.0.0.1/',
    'http://evil.test\\@127.0.0.1/',
    'http://127.0.0.1\\.evil.test/',
    'http://127.0.0.1@evil.test/',
    'http://alice@127.0.0.1/',
    'http://alice:x@127.0.0.1/',
    'http://127.0.0.1/#token',
    'http://127.0.0.1:99999/',
    'http:127.0.0.1',
    'http:/127.0.0.1',
    'http:///127.0.0.1',
    'http://127.0.0.1\t.evil.test/',
    ' http://127.0.0.1/',
    'http://127.0.0.1 /',
    'http://127.0.0.1/\r\nLocation: https://evil.test',
    'http://127.0.0.1/"><script>',
    'http://tool.corp.example/cb',
    'https://tool.corp.example:444/cb',
    'https://tool.corp.example.evil.test/',
    'https://eviltool.corp.example/',
    'https://tool.corp.example@evil.test/',
    'https://corp.example/',
    'https://a.tool.corp.example/',
    'https://tool%2ecorp.example.evil.test/',
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'ftp://127.0.0.1/',
    'com.evil.app:/cb',
    'urn:ietf:wg:oauth:2.0:oob',
    '',
  ])('may not be %j', async (address) => {
    const { statuses, answers } = await ask(address)
    expect(statuses).toEqual([400])
    expect(only(answers).header('location')).toBeUndefined()
    expect(only(answers).body).not.toContain('evil')
  })

  test.each([
    ['no challenge', 'code_challenge_method=S256'],
    ['a plain challenge', `code_challenge=${CHALLENGE}&code_challenge_method=plain`],
    ['no method', `code_challenge=${CHALLENGE}`],
    ['a short challenge', 'code_challenge=abc&code_challenge_method=S256'],
    ['a second challenge', `code_challenge=${CHALLENGE}&code_challenge=${CHALLENGE}&code_challenge_method=S256`],
    ['a second address', `code_challenge=${CHALLENGE}&code_challenge_method=S256&redirect_uri=https%3A%2F%2Fevil.test`],
    ['a long state', `code_challenge=${CHALLENGE}&code_challenge_method=S256&state=${'x'.repeat(300)}`],
  ])('is not taken with %s', async (_, more) => {
    expect((await ask(LOOPBACK, more)).statuses).toEqual([400])
  })

  test('is asked for with GET, on the host of a route', async () => {
    const query = `?code_challenge=${CHALLENGE}&code_challenge_method=S256`
    expect((await gauntlet.send(request('POST', `/.postern/api/v1/login${query}`))).statuses).toEqual([405])
    for (const host of ['authenticate.localhost', 'evil.test'])
      expect((await gauntlet.get(`/.postern/api/v1/login${query}`, `Host: ${host}`)).statuses).toEqual([404])
    expect((await gauntlet.get(`/.pomerium/api/v1/login${query}`)).statuses).toEqual([404])
  })
})

describe('the person', () => {
  test('is asked first, by a page of the sign-in service that nothing can frame', async () => {
    const { page, posted, back } = await say(
      browser,
      await begin(program(), { redirect_uri: LOOPBACK, state: 'a b&c' }),
    )
    expect(page.body).toContain('alice@example.com')
    expect(page.body).toContain('app.localhost')
    expect(page.body).toContain('127.0.0.1:5555')
    expect(page.headers['content-security-policy']).toContain("frame-ancestors 'none'")
    expect(page.headers['cache-control']).toBe('no-store')
    expect(posted.headers['referrer-policy']).toBe('no-referrer')
    expect(back?.origin).toBe('http://127.0.0.1:5555')
    expect([...(back?.searchParams.keys() ?? [])].sort()).toEqual(['code', 'state'])
    expect(back?.searchParams.get('state')).toBe('a b&c')
  })

  test('may say no', async () => {
    const { back } = await say(browser, await begin(program()), 'deny')
    expect(back?.searchParams.get('error')).toBe('access_denied')
    expect(back?.searchParams.has('code')).toBe(false)
  })

  test('copies the code where the program cannot listen', async () => {
    const asked = program()
    const { posted, back } = await say(browser, await begin(asked, {}))
    expect(back).toBeUndefined()
    const code = /<code>([\w-]{43})<\/code>/.exec(posted.body)?.[1] ?? ''
    expect((await exchange(code, asked.verifier)).status).toBe(200)
  })

  test('signs in on the way, and is asked then', async () => {
    const other = gauntlet.world.browser()
    const page = await gauntlet.world.signIn(other, await begin(program()), 'bob@example.com')
    expect(page.status).toBe(200)
    expect(page.body).toContain('bob@example.com')
    expect(page.url.pathname).toBe('/.postern/api/v1/login/confirm')
  })

  test.each([
    ['of an application', { origin: APP }, true],
    ['of nobody', { origin: 'null' }, true],
    ['without our token', {}, false],
  ])('is not answered for by a page %s', async (_, headers, withToken) => {
    const address = await begin(program())
    const csrf = withToken ? (/name="csrf" value="([^"]+)"/.exec((await browser.ask(address)).body)?.[1] ?? '') : 'x'
    const posted = await browser.ask(address, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams({ csrf, answer: 'allow' }).toString(),
    })
    expect(posted.status).toBe(400)
    expect(posted.headers['refresh']).toBeUndefined()
  })

  test('is not asked by an address that we did not write, or wrote long ago', async () => {
    const address = new URL(await begin(program()))
    const sealed = address.searchParams.get('request') ?? ''
    for (const forged of ['', 'x', `A${sealed.slice(1)}`, sealed.slice(0, -4)]) {
      address.searchParams.set('request', forged)
      expect((await browser.ask(address)).status).toBe(400)
    }
    address.searchParams.set('request', sealed)
    address.searchParams.append('request', sealed)
    expect((await browser.ask(address)).status).toBe(400)
    address.searchParams.delete('request')
    address.searchParams.set('request', sealed)
    clock.advance(31 * 60_000)
    expect((await browser.ask(address)).status).toBe(400)
  })

  test('is asked on no host of an application, whose scripts could answer', async () => {
    const { pathname, search } = new URL(await begin(program()))
    expect((await browser.ask(`${APP}${pathname}${search}`)).status).toBe(404)
  })
})

describe('the code', () => {
  test('is good once, for its verifier, on its host, for two minutes', async () => {
    const asked = program()
    const first = await codeOf(browser, asked)
    expect((await exchange(first, program().verifier)).body['error']).toBe('invalid_grant')
    // Spent by the guess.
    expect((await exchange(first, asked.verifier)).body['error']).toBe('invalid_grant')

    const elsewhere = await codeOf(browser, asked)
    expect((await exchange(elsewhere, asked.verifier, ADMIN)).body['error']).toBe('invalid_grant')

    const late = await codeOf(browser, asked)
    clock.advance(121_000)
    expect((await exchange(late, asked.verifier)).body['error']).toBe('invalid_grant')

    const good = await codeOf(browser, asked)
    const answers = await Promise.all(Array.from({ length: 5 }, () => exchange(good, asked.verifier)))
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 400, 400, 400, 400])
    const given = answers.find(({ status }) => status === 200)
    expect(given?.headers['cache-control']).toBe('no-store')
    expect(given?.body).toMatchObject({ token_type: 'Bearer', access_token: expect.stringMatching(/^psl_v1\./) })
    expect(given?.body['expires_in']).toBeGreaterThan(0)
  })

  test('is taken from a small form only', async () => {
    const form = 'grant_type=authorization_code&code=x&code_verifier=y'
    const post = (body: string, type = 'application/x-www-form-urlencoded') =>
      gauntlet.send(
        request('POST', '/.postern/api/v1/token', `Content-Type: ${type}`, `Content-Length: ${body.length}`) + body,
      )
    expect((await post(form)).statuses).toEqual([400])
    expect((await post(form, 'application/json')).statuses).toEqual([400])
    expect((await post(`${form}&code=z`)).statuses).toEqual([400])
    expect((await post(`${form}&x=${'x'.repeat(100_000)}`)).statuses).toEqual([400])
    expect((await gauntlet.get(`/.postern/api/v1/token?${form}`)).statuses).toEqual([405])
  })

  test('is worth nothing after the session has ended', async () => {
    const other = gauntlet.world.browser()
    await gauntlet.world.signIn(other, `${APP}/user`, 'bob@example.com')
    const asked = program()
    const code = await codeOf(other, asked)
    const page = await other.ask(`${APP}/.postern/sign_out`)
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    await other.ask(`${APP}/.postern/sign_out`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `csrf=${csrf}`,
    })
    expect((await exchange(code, asked.verifier)).body['error']).toBe('invalid_grant')
  })

  test('and the token are in no log', async () => {
    const asked = program()
    const code = await codeOf(browser, asked)
    const { body } = await exchange(code, asked.verifier)
    expectNoSecrets(gauntlet.world, [], [code, asked.verifier, String(body['access_token'])])
  })
})

describe('the token of a program', () => {
  const tokenOf = async (who: Browser): Promise<string> => {
    const asked = program()
    return String((await exchange(await codeOf(who, asked), asked.verifier)).body['access_token'])
  }
  let token: string
  beforeAll(async () => {
    token = await tokenOf(browser)
    await gauntlet.skip()
  })
  const bearer = (value: string): string => `Authorization: Bearer ${value}`

  test('is the person, with their groups, on its host, and reaches no application', async () => {
    const { statuses, received, lines } = await gauntlet.get('/admin', bearer(token))
    expect(statuses).toEqual([200])
    expect(only(received).values('x-postern-claim-email')).toEqual(['alice@example.com'])
    expect(only(received).values('authorization')).toEqual([])
    expect(only(lines)).toMatchObject({
      auth: 'session',
      by_token: true,
      email: 'alice@example.com',
      decision: 'allow',
    })
  })

  test('is shown to the person beside the session, by its host', async () => {
    const page = await browser.ask(`${AUTH}/.postern/account`)
    expect(page.body).toContain('Programs use it for app.localhost')
    expect(page.body).not.toContain('psl_')
    await gauntlet.skip()
  })

  test('is nobody on another host, and does not reach its application beside a session either', async () => {
    const alone = await gauntlet.get('/admin', 'Host: admin.localhost', bearer(token))
    expect(alone.statuses).toEqual([401])
    expect(only(alone.answers).header('www-authenticate')).toContain('error="invalid_token"')
    const beside = await gauntlet.get(
      '/user',
      'Cookie: ' + (gauntlet.cookies['bob'] ?? ''),
      bearer(`${token.slice(0, -1)}_`),
    )
    expect(beside.statuses).toEqual([200])
    expect(only(beside.received).values('authorization')).toEqual([])
    const open = await gauntlet.get('/public', bearer(token))
    expect(only(open.received).values('authorization')).toEqual([])
  })

  test.each([
    ['as Basic', (value: string) => `Authorization: Basic ${Buffer.from(`x:${value}`).toString('base64')}`],
    ['as a cookie', (value: string) => `Cookie: postern=${value.replace('psl_', '')}`],
    ['in the query', (value: string) => `X-Nothing: ${value.length}`],
  ])('opens nothing %s', async (how, header) => {
    const target = how === 'in the query' ? `/user?access_token=${token}` : '/user'
    const { answers, received } = await gauntlet.get(target, header(token))
    expect([302, 401]).toContain(only(answers).status)
    expect(received).toEqual([])
    // Nor does an application get it, where nobody is asked or beside a session.
    const open = await gauntlet.get('/public', header(token))
    const beside = await gauntlet.get('/user', `Cookie: ${gauntlet.cookies['bob']}`, header(token))
    for (const { headers } of [...open.received, ...beside.received])
      expect(headers.flat().filter((line) => /^(?:basic|bearer)/i.test(line))).toEqual([])
  })

  test('is no cookie, and a cookie is no token', async () => {
    const cookie = (gauntlet.cookies['alice'] ?? '').replace('postern=', '')
    expect((await gauntlet.get('/user', bearer(`psl_${cookie}`))).statuses).toEqual([401])
    const changed = token.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
    for (const bad of ['psl_', 'psl_v1.', changed, `${token}x`, token.toUpperCase()])
      expect((await gauntlet.get('/user', bearer(bad))).statuses).toEqual([401])
  })

  test('of somebody else than the session is refused, and so are two', async () => {
    expect((await gauntlet.get('/user', `Cookie: ${gauntlet.cookies['bob']}`, bearer(token))).statuses).toEqual([400])
    expect((await gauntlet.get('/user', bearer(token), bearer(token))).statuses).toEqual([400])
  })

  test('beside the cookie of the same person is not forwarded', async () => {
    const { statuses, received } = await gauntlet.get('/user', `Cookie: ${gauntlet.cookies['alice']}`, bearer(token))
    expect(statuses).toEqual([200])
    expect(only(received).values('authorization')).toEqual([])
  })

  test('ends with its session', async () => {
    const other = gauntlet.world.browser()
    await gauntlet.world.signIn(other, `${APP}/user`, 'bob@example.com')
    const his = await tokenOf(other)
    await gauntlet.skip()
    expect((await gauntlet.get('/user', bearer(his))).statuses).toEqual([200])
    const page = await other.ask(`${APP}/.postern/sign_out`)
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    await other.ask(`${APP}/.postern/sign_out`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `csrf=${csrf}`,
    })
    await gauntlet.skip()
    expect((await gauntlet.get('/user', bearer(his))).statuses).toEqual([401])
  })
})
