/**
 * Section H: whatever stands in a parameter or header that could name an address, nobody is led away. Generated families of
 * addresses (the ways in which parsers and browsers have disagreed: slashes, backslashes, blanks, escapes, user names,
 * suffixes, schemes) and the hand-picked ones, in three encodings, in every place that Postern reads, signed in and out. What
 * an answer leads to is read as a browser does (WHATWG URL): headers, links, forms, pages that go on by themselves, JSON.
 */
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { only } from '../support/gauntlet.ts'
import { sendRaw, type WireAnswer } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const AUTH = 'http://authenticate.localhost'
const EVIL = 'evil.test'

let world: World
/** `Cookie` header by host, of somebody who is signed in. */
let cookies: Readonly<Record<string, string>>
let csrf: Readonly<Record<string, string>>
let signedLink: URL
let sealedState: string
beforeAll(async () => {
  world = await createTestWorld({
    // The parameters of a sign-in are looked at.
    config: { idp_pushed_requests: false },
    routes: [
      { name: 'app', from: APP, allow_any_authenticated_user: true },
      { name: 'wild', from: 'http://*.wild.localhost', allow_any_authenticated_user: true },
    ],
    upstream: (_, res) => void res.end('application'),
  })
  const alice = world.browser()
  await world.signIn(alice, `${APP}/`, 'alice@example.com')
  const held = (host: string) => [...(alice.cookies.get(host) ?? [])].map((pair) => pair.join('=')).join('; ')
  cookies = { [APP]: held('app.localhost'), [AUTH]: held('authenticate.localhost') }
  const tokenAt = async (host: string) =>
    (
      JSON.parse((await alice.ask(`${host}/.postern/user`, { headers: { accept: 'application/json' } })).body) as {
        csrf_token: string
      }
    ).csrf_token
  csrf = { [APP]: await tokenAt(APP), [AUTH]: await tokenAt(AUTH) }
  const other = world.browser()
  signedLink = new URL((await other.ask(`${APP}/x`)).headers.location ?? '')
  sealedState = new URL((await other.ask(signedLink)).headers.location ?? '').searchParams.get('state') ?? ''
})
afterAll(async () => {
  expect((await world.signIn(world.browser(), `${APP}/`, 'alice@example.com')).status).toBe(200)
  await world.close()
})

interface Attempt {
  readonly host: string
  readonly method?: 'GET' | 'POST'
  readonly target: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

const DOCUMENT = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

/** Every place that could name an address. `put`: the address as it goes into a query or a form. */
function attempts(address: string, put: string): readonly Attempt[] {
  const tampered = new URL(signedLink)
  tampered.searchParams.delete('return_to')
  const atEvery = (path: string, headers?: Readonly<Record<string, string>>): Attempt[] =>
    [APP, AUTH].map((host) => ({ host, target: path, ...(headers && { headers }) }))
  return [
    { host: APP, target: `/.postern/sign_in?return_to=${put}` },
    { host: APP, target: `/.postern/sign_in?rd=${put}&redirect_uri=${put}&url=${put}&next=${put}` },
    { host: APP, target: `/.postern/return?to=${put}` },
    { host: APP, target: `/.postern/return?to=${put}`, headers: DOCUMENT },
    { host: APP, target: `/.postern/callback?code=${put}&return_to=${put}&state=${put}` },
    { host: AUTH, target: `/.postern/sign_in${tampered.search}&return_to=${put}` },
    { host: AUTH, target: `/.postern/sign_in${signedLink.search}&return_to=${put}` },
    { host: AUTH, target: `/oauth2/callback?code=c&state=${put}&return_to=${put}` },
    { host: AUTH, target: `/oauth2/callback?code=c&state=${sealedState}&redirect_uri=${put}&return_to=${put}` },
    {
      host: AUTH,
      target: `/oauth2/callback?error=${put}&error_description=${put}&error_uri=${put}&state=${sealedState}`,
    },
    { host: AUTH, target: `/.postern/signed_out?state=${put}&return_to=${put}` },
    { host: AUTH, target: `/.postern/api/v1/login/confirm?request=${put}` },
    ...atEvery(`/.postern/sign_out?return_to=${put}&redirect_uri=${put}&post_logout_redirect_uri=${put}`),
    ...atEvery(`/.postern/?return_to=${put}`),
    ...[APP, AUTH].flatMap((host): Attempt[] => {
      const body = `csrf=${csrf[host]}-&return_to=${put}&session=${put}&redirect_uri=${put}`
      return ['sign_out', 'end_session'].map((path) => ({
        host,
        method: 'POST',
        target: `/.postern/${path}`,
        headers: FORM,
        body,
      }))
    }),
    ...[
      'x-forwarded-host',
      'x-forwarded-proto',
      'x-forwarded-uri',
      'x-original-url',
      'x-rewrite-url',
      'forwarded',
      'referer',
      'origin',
    ].map((name): Attempt => ({ host: APP, target: '/x', headers: { ...DOCUMENT, [name]: headerSafe(address) } })),
  ]
}

/** One answer to each; a control character or a blank would be another request, or none. */
async function send(
  { host, method = 'GET', target, headers = {}, body }: Attempt,
  signedIn: boolean,
): Promise<WireAnswer> {
  const all: Readonly<Record<string, string>> = {
    host: new URL(host).host,
    connection: 'close',
    accept: 'text/html',
    ...(signedIn && { cookie: cookies[host] ?? '' }),
    ...headers,
    ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  const bytes = Buffer.from([`${method} ${target} HTTP/1.1`, ...lines, '', body ?? ''].join('\r\n'))
  return only(await sendRaw(world.port, bytes))
}

const headerSafe = (text: string) => text.replace(/[\r\n\0]/g, '')
/** As much escaped as a request line needs. */
const asIs = (text: string) =>
  text.replace(/[^\x21-\x7e]|[#&+]/g, (char) =>
    [...Buffer.from(char)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  )
const ENCODINGS: readonly ((text: string) => string)[] = [
  asIs,
  (text) => encodeURIComponent(text),
  (text) => encodeURIComponent(encodeURIComponent(text)),
]

/** Wherever a browser could go from here, by itself or by a click. */
function leads({ header, headers, body }: WireAnswer): readonly string[] {
  const attributes = [...body.matchAll(/\s(?:href|action|src|data-next|content)="([^"]*)"/g)].map(
    ([, value = '']) => value,
  )
  const json = [...body.matchAll(/"(?:redirect_to|login_url|sign_out_url)":"([^"]*)"/g)].map(([, value = '']) => value)
  const urls = attributes
    .map((value) => value.replace(/^0; ?url=/, ''))
    .filter((value) => /^[a-z]+:|^\/|^\\/i.test(value) && !value.startsWith('data:image/svg+xml,'))
    .map((value) => value.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&amp;', '&'))
  return [
    ...headers.filter(([name]) => name === 'location').map(([, value]) => value),
    ...(header('refresh') === undefined ? [] : [header('refresh')?.replace(/^\d+; ?url=/i, '') ?? '']),
    ...urls,
    ...json,
  ]
}

/** Ours, or the provider with nothing but what we asked it for. */
function expectOurs(answer: WireAnswer, { host, target }: Attempt): void {
  const base = new URL(target.startsWith('/') ? host + target : host)
  for (const lead of leads(answer)) {
    const url = new URL(lead, base)
    const at = { lead, target, origin: url.origin }
    expect({ ...at, user: url.username + url.password }).toEqual({ ...at, user: '' })
    if (url.origin === world.okta.url) {
      expect(url.pathname).toMatch(/\/(?:authorize|logout)$/)
      for (const name of ['redirect_uri', 'post_logout_redirect_uri']) {
        const back = url.searchParams.get(name)
        if (back !== null) expect(new URL(back).origin).toBe(AUTH)
      }
      continue
    }
    expect([APP, AUTH], JSON.stringify(at)).toContain(url.origin)
    // An address inside a link that we signed is ours, too: it is where the person ends.
    if (!url.searchParams.has('signature')) continue
    const inner = only(url.searchParams.getAll('return_to'))
    expect([APP, AUTH], JSON.stringify({ ...at, inner })).toContain(new URL(inner).origin)
  }
  for (const [name, value] of answer.headers) {
    expect(value, name).not.toMatch(/[\r\n\0]/)
    if (name === 'set-cookie') expect(value).toMatch(/^postern/)
  }
  expect(answer.body).not.toMatch(/<script(?! data-next=)/i)
}

/** Follows redirects among our own pages: what one lets pass the next one refuses. */
async function expectOursToTheEnd(attempt: Attempt, signedIn: boolean): Promise<void> {
  let at = attempt
  for (let hop = 0; hop < 5; hop++) {
    const answer = await send(at, signedIn)
    expectOurs(answer, at)
    const location = answer.header('location')
    if (location === undefined) return
    const { origin, pathname, search } = new URL(location, at.host)
    if (origin === world.okta.url) return
    at = { host: origin, target: pathname + search }
  }
}

async function expectNobodyLeaves(address: string): Promise<void> {
  for (const encode of ENCODINGS) {
    for (const attempt of attempts(address, encode(address))) {
      for (const signedIn of [false, true]) await expectOursToTheEnd(attempt, signedIn)
    }
  }
}

const SCHEMES = [
  '',
  '',
  '',
  'http:',
  'https:',
  'HtTp:',
  '\thttp:',
  ' http:',
  'ht\ntp:',
  'javascript:',
  'data:text/html,',
  'blob:http:',
  'ftp:',
  'file:',
  'view-source:http:',
  'x:',
]
const SLASHES = ['/', '/', '\\', '/\t', '/\n', '\r/', '%2f', '%5c', '%09', '/.', '/./', '/..', '/.;', '〱', '／', '⁄']
const USERS = [
  '',
  '',
  '',
  'app.localhost@',
  'app.localhost:80@',
  'user:password@',
  'app.localhost%40',
  'app.localhost%2f@',
  '@',
  ':@',
  'app.localhost\\@',
  'app.localhost#@',
  'app.localhost?@',
]
const HOSTS = [
  EVIL,
  `app.localhost.${EVIL}`,
  `evilapp.localhost`,
  `app.localhost%2e${EVIL}`,
  `app.localhost%00.${EVIL}`,
  'app.localhost:8080',
  'APP.LOCALHOST.:81',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '127.0.0.1',
  '0x7f.1',
  '2130706433',
  'evil。test',
  '%65vil.test',
  'xn--vil-gma.test',
  'wild.localhost',
  `a.wild.localhost.${EVIL}`,
  'authenticate.localhost.',
  '',
]
const TAILS = [
  '',
  '',
  '/',
  '/x',
  '?app.localhost',
  '#app.localhost',
  '#@app.localhost/',
  '\\.app.localhost',
  '/..//evil.test',
  '%0d%0aLocation:http://evil.test',
  '\r\nSet-Cookie: a=b',
  '\r\n\r\n<script>alert(1)</script>',
  '"><script>alert(1)</script>',
  '/%2e%2e',
  ';@app.localhost',
  ' app.localhost',
]

const address = fc
  .tuple(
    fc.constantFrom(...SCHEMES),
    fc.array(fc.constantFrom(...SLASHES), { maxLength: 4 }),
    fc.constantFrom(...USERS),
    fc.constantFrom(...HOSTS),
    fc.constantFrom(...TAILS),
  )
  .map(([scheme, slashes, user, host, tail]) => scheme + slashes.join('') + user + host + tail)

/** security case H02 and H03, and what made the CVEs that section H names. */
const PICKED = [
  `//${EVIL}`,
  `///${EVIL}`,
  `/\\${EVIL}`,
  `/%5c${EVIL}`,
  `\\/${EVIL}`,
  `/%09/${EVIL}`,
  `/\t/${EVIL}`,
  `/%0a/${EVIL}`,
  `/\v/${EVIL}`,
  `/./\\${EVIL}`,
  `/.//${EVIL}`,
  `https:${EVIL}`,
  `https:/${EVIL}`,
  `https:///${EVIL}`,
  `http://app.localhost@${EVIL}`,
  `//app.localhost:443@${EVIL}`,
  `//${EVIL}%00.app.localhost`,
  '//[::1]',
  `〱${EVIL}`,
  'javascript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  `http://evilapp.localhost/`,
  `http://app.localhost.${EVIL}/`,
  `http://app.localhost%2e${EVIL}/`,
  'HTTP://APP.LOCALHOST./',
  'http://app.localhost:8081/',
  `//${EVIL}%2f@app.localhost/`,
  '//someone:else@app.localhost/',
  'https://app.localhost/',
  `/.postern/return?to=//${EVIL}`,
  `/.postern/sign_in?return_to=//${EVIL}`,
  `/.postern/sign_out?return_to=//${EVIL}`,
]

describe('nobody is led away', () => {
  test.each(PICKED)('by %j', (picked) => expectNobodyLeaves(picked))

  test('by any address of the generated families', async () => {
    await fc.assert(fc.asyncProperty(address, expectNobodyLeaves), { numRuns: 20 })
  })

  test('as the path of a request, by the page that begins the sign-in and by the one that ends it', async () => {
    await fc.assert(
      fc.asyncProperty(address, fc.constantFrom('', '/', '/x/'), async (text, before) => {
        const attempt: Attempt = { host: APP, target: before + asIs(text) || '/', headers: DOCUMENT }
        const answer = await send(attempt, false)
        expectOurs(answer, attempt)
        const next = /data-next="([^"]*)"/.exec(answer.body)?.[1]?.replaceAll('&amp;', '&')
        if (next === undefined) return
        const back = new URL(new URL(next).searchParams.get('return_to') ?? '')
        expect(back.origin).toBe(APP)
        const end: Attempt = { host: APP, target: back.pathname + back.search, headers: DOCUMENT }
        expectOurs(await send(end, false), end)
      }),
      { numRuns: 200 },
    )
  })

  test('by a program’s redirect, unless it is a loopback address', async () => {
    const query = `code_challenge=${'A'.repeat(43)}&code_challenge_method=S256`
    await fc.assert(
      fc.asyncProperty(address, fc.constantFrom(...ENCODINGS), async (text, encode) => {
        const put = encode(text)
        const answer = await send({ host: APP, target: `/.postern/api/v1/login?${query}&redirect_uri=${put}` }, false)
        expect(answer.header('location')).toBeUndefined()
        if (answer.status !== 200) return
        const given = new URLSearchParams(`redirect_uri=${put}`).get('redirect_uri') ?? ''
        expect(['127.0.0.1', '[::1]']).toContain(new URL(given).hostname)
        expect(new URL(answer.body.trim()).origin).toBe(AUTH)
      }),
      { numRuns: 200 },
    )
  })
})

describe('what Postern made itself, changed or sent twice', () => {
  test('a link, a state and a hand-off lead where they were made for, or nowhere', async () => {
    const flip = (text: string, at: number) => text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.constantFrom('cut', 'flip', 'double', 'swap'), async (n, how) => {
        const values = { ...Object.fromEntries(signedLink.searchParams), state: sealedState }
        const changed = Object.entries(values).map(([name, value]): readonly [string, string] => {
          const at = n % Math.max(1, value.length)
          const made = {
            cut: value.slice(0, at),
            flip: flip(value, at),
            double: value + value,
            swap: value.split('').toReversed().join(''),
          }
          return [name, made[how]]
        })
        for (const [name, value] of changed) {
          const path = name === 'state' ? '/oauth2/callback?code=c' : '/.postern/sign_in?'
          const others = name === 'state' ? [] : [...signedLink.searchParams].filter(([other]) => other !== name)
          const query = new URLSearchParams([...others, [name, value]]).toString()
          const attempt: Attempt = { host: AUTH, target: `${path}&${query}` }
          const answer = await send(attempt, false)
          expectOurs(answer, attempt)
          expect(answer.header('location') ?? 'none').toBe('none')
        }
      }),
      { numRuns: 60 },
    )
  })

  test('a state sent a second time spends nothing and leads to the same application', async () => {
    const attempt: Attempt = { host: AUTH, target: `/oauth2/callback?code=c&state=${sealedState}` }
    for (let round = 0; round < 3; round++) {
      const answer = await send(attempt, true)
      expect([answer.status, answer.header('location')]).toEqual([302, `${APP}/x`])
      expectOurs(answer, attempt)
    }
  })
})
