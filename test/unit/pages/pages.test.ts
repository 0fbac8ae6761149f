import { describe, expect, test } from 'vitest'
import { type ErrorCode, type ErrorInfo, ERRORS } from '../../../src/errors.ts'
import type { PageSettings } from '../../../src/config/model.ts'
import { deniedPage } from '../../../src/pages/denied.tsx'
import { errorPage } from '../../../src/pages/error.tsx'
import { chooseProviderPage } from '../../../src/pages/choose-provider.tsx'
import { portalPage } from '../../../src/pages/portal.tsx'
import { sessionOverPage } from '../../../src/pages/session-over.tsx'
import { signInFailedPage } from '../../../src/pages/sign-in-failed.tsx'
import { signOutPage } from '../../../src/pages/sign-out.tsx'
import { signedOutPage } from '../../../src/pages/signed-out.tsx'
import { statusPage } from '../../../src/pages/status.tsx'
import { stylesheetOf } from '../../../src/pages/style.ts'
import { unavailablePage } from '../../../src/pages/unavailable.tsx'
import { userPage } from '../../../src/pages/user.tsx'

const OURS: PageSettings = { productName: 'Postern' }
const STYLE = stylesheetOf(OURS)
const PAGE = { controlPrefix: '/.postern', requestId: 'r', now: 0, settings: OURS }
/** Addresses are checked where the configuration is read. */
const settingsWith = (text: string): PageSettings => ({
  productName: 'Postern',
  firstParagraph: text,
  supportUrl: 'mailto:help@corp.example',
  troubleshootingUrl: 'https://docs.corp.example/codes',
})

/** Every page with `text` wherever a model takes text, and `href` wherever it takes an address. */
function everyPage(text: string, href: string): readonly (readonly [name: string, html: string])[] {
  const now = Date.UTC(2026, 10, 21, 2, 17, 5)
  const common = { controlPrefix: '/.postern', requestId: text, now, settings: settingsWith(text) }
  const person = { name: text, email: text, subject: text }
  const groups = {
    groups: [{ id: text, name: text, type: 'OKTA_GROUP' as const }],
    freshAt: now - 120_000,
    source: text,
  }
  return [
    [
      'denied',
      deniedPage({
        ...common,
        application: text,
        code: 'ERR_DENIED',
        person,
        reasons: ['groups-unauthorized', 'source-ip-unauthorized'],
        wantedGroups: [text],
        groups,
        tryAgainUrl: href,
      }),
    ],
    [
      'unavailable',
      unavailablePage({
        ...common,
        application: text,
        person,
        code: 'ERR_GROUPS_UNKNOWN',
        groups,
        tryAgainUrl: href,
      }),
    ],
    [
      'error',
      errorPage({
        ...common,
        code: 'ERR_UPSTREAM_CONNECT',
        sentence: text,
        limit: text,
        detail: text,
        advice: text,
        application: text,
        wayOn: { href, label: text },
      }),
    ],
    ['session-over', sessionOverPage({ ...common, signInUrl: href, why: 'ended' })],
    ['insufficient', sessionOverPage({ ...common, signInUrl: href, why: 'insufficient' })],
    ['elsewhere', sessionOverPage({ ...common, signInUrl: href, why: 'elsewhere' })],
    ['choose-provider', chooseProviderPage({ ...common, providers: [{ label: text, href }], signedInWith: [text] })],
    [
      'sign-in-failed',
      signInFailedPage({
        ...common,
        title: text,
        whatToDo: text,
        error: text,
        description: text,
        tryAgainUrl: href,
        inVain: false,
      }),
    ],
    ['sign-out', signOutPage({ ...common, email: text, csrfToken: text })],
    ['signed-out', signedOutPage({ ...common, signInUrl: href })],
    [
      'portal',
      portalPage({
        ...common,
        person,
        search: text,
        applications: [
          { name: text, url: href, description: text, logoUrl: 'https://img.corp.example/a.svg', asksAgain: true },
        ],
        incomplete: 'unknown',
      }),
    ],
    [
      'status',
      statusPage({
        ...common,
        version: text,
        process: 1,
        startedAt: now,
        directories: [1, 2].map(() => ({
          issuer: text,
          source: text,
          people: 1,
          leading: false,
          trouble: { at: now, code: text, message: text },
        })),
        shared: true,
        components: [{ name: text, status: text, since: now - 60_000, detail: text }],
        upstreams: [{ upstream: text, health: 'refusing', detail: text, active: 1, pending: 2, tunnels: 3 }],
        limits: [{ name: text, limit: 600, remaining: 500, allowance: 300 }],
        people: 4,
        streams: 5,
        configuration: {
          checksum: 6,
          inForceSince: now,
          routes: 7,
          warnings: [text],
          needsRestart: [text],
          refused: { at: now, problem: text },
        },
        refused: [
          {
            at: now,
            requestId: text,
            method: text,
            host: text,
            path: text,
            route: text,
            outcome: text,
            reasons: [text],
            person: text,
            status: 403,
          },
        ],
        allowed: [],
        question: { url: text, method: text, user: text, ip: text },
        answer: { person: text, groups: text, route: text, policy: [text], earlier: [text], decision: text },
      }),
    ],
    ['empty portal', portalPage({ ...common, person, search: text, applications: [] })],
    [
      'user',
      userPage({
        ...common,
        person,
        issuer: text,
        session: { createdAt: now - 3_600_000, expiresAt: now + 3_600_000 },
        sessions: {
          kind: 'listed',
          list: [
            { tag: text, isThis: true, userAgent: text, clientIp: text, signedInAt: now, lastSeenAt: now },
            { tag: `${text}2`, isThis: false, userAgent: text, signedInAt: now, lastSeenAt: now },
          ],
        },
        groups,
        claims: { [text]: text, list: [text], nested: { [text]: text } },
        csrfToken: text,
      }),
    ],
  ]
}

const HOSTILE = `"><script>alert(1)</script><svg onload=alert(2)>' & {{x}} \u202e`

describe.each(everyPage('plain words', 'https://app.corp.example/'))('the %s page', (_name, html) => {
  test('is a document with a language, a title, one heading and landmarks', () => {
    expect(html.startsWith('<!doctype html><html lang="en">')).toBe(true)
    expect(html).toMatch(/<title>[^<]+ · Postern<\/title>/)
    expect(html.match(/<h1[ >]/g)).toHaveLength(1)
    for (const landmark of ['<header>', '<main>', '<footer>']) expect(html.split(landmark)).toHaveLength(2)
  })

  test('has no script, no inline style and nothing from elsewhere', () => {
    expect(html).not.toMatch(/<script|<style|<iframe|<object|<embed|<base/i)
    expect(html).not.toMatch(/ style=| on[a-z]+=/i)
    expect([...html.matchAll(/ (?:src|href)="([^"]*)"/g)].map(([, url]) => url).sort()).toEqual(
      expect.arrayContaining([`/.postern/style.css?v=${STYLE.hash}`]),
    )
    for (const [, url = ''] of html.matchAll(/<link[^>]* href="([^"]*)"/g))
      expect(url).toMatch(/^(\/\.postern\/|data:)/)
  })

  test('leads on', () => {
    expect(html.split('<main>')[1]).toMatch(/<a |<button /)
  })

  test('shows request id and time', () => {
    expect(html).toContain('<code>plain words</code>')
    expect(html).toContain('<time datetime="2026-11-21T02:17:05.000Z">Sat, 21 Nov 2026 02:17:05 UTC</time>')
  })

  test('is small, stylesheet included', () => {
    expect(Buffer.byteLength(html) + Buffer.byteLength(STYLE.body)).toBeLessThan(20_000)
  })
})

// attack-cases.md H07
describe.each(everyPage(HOSTILE, 'javascript:alert(3)'))(
  'the %s page with hostile text in every field',
  (_name, html) => {
    test('shows markup in values as text', () => {
      expect(html).not.toContain('<script')
      expect(html).not.toContain('<svg onload')
      expect(html).toContain('&lt;script>')
      const tags = (document: string) => document.match(/<\/?[a-z][a-z0-9]*/g)
      const harmless = everyPage('plain words', '/').find(([name]) => name === _name)?.[1] ?? ''
      expect(tags(html)).toEqual(tags(harmless))
    })

    test('has no address that runs code', () => {
      expect(html).not.toMatch(/href="\s*(javascript|data:text|vbscript)/i)
    })
  },
)

test.each([
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)',
  'data:text/html,x',
  '//evil.test',
  '/\\evil.test',
  ' https://evil',
  '',
])('a link to %j becomes the front page', (href) => {
  const html = signedOutPage({ ...PAGE, signInUrl: href })
  expect(html).toContain('class="button" href="/"')
})

test.each(['/', '/app?x=1&y=2', 'https://app.corp.example/a', 'http://app.localhost:8080/'])(
  'a link to %j stays',
  (href) => {
    const html = signedOutPage({ ...PAGE, signInUrl: href })
    expect(html).toContain(`href="${href.replaceAll('&', '&amp;')}"`)
  },
)

describe('the denied page', () => {
  const model = {
    ...PAGE,
    controlPrefix: '/.pomerium',
    now: 1_000_000,
    application: 'Engineering',
    code: 'ERR_DENIED' as const,
    person: { name: 'Bob', email: 'bob@corp.example', subject: '00u1' },
    reasons: ['no-rule-matched', 'groups-unauthorized'] as const,
    wantedGroups: ['Engineering', 'SRE'],
    groups: {
      groups: [{ id: '00g1', name: 'Sales', type: 'OKTA_GROUP' as const }],
      freshAt: 1_000_000 - 125_000,
      source: 'okta',
    },
    tryAgainUrl: 'https://eng.corp.example/',
  }

  test('says which application, as whom, why, which groups are required and which the person has', () => {
    const text = wordsOf(deniedPage(model))
    expect(text).toContain('You cannot open Engineering')
    expect(text).toContain('You are signed in as Bob (bob@corp.example).')
    expect(text).toContain('You are not in a group that may open it.')
    expect(text).not.toContain('No rule of this application')
    expect(text).toContain('Groups that may open it Engineering SRE')
    expect(text).toContain('Your groups Sales Read from Okta 2 minutes ago.')
  })

  test('uses the control prefix', () => {
    const html = deniedPage(model)
    expect(html).toContain('href="/.pomerium/sign_out?return_to=https%3A%2F%2Feng.corp.example%2F"')
    expect(html).toContain('href="/.pomerium/style.css?v=')
  })

  test('lists no required groups without a group rule, and says when the person’s groups are unknown', () => {
    const text = wordsOf(deniedPage({ ...model, reasons: ['user-inactive'], wantedGroups: [], groups: 'unknown' }))
    expect(text).not.toContain('may open it')
    expect(text).toContain('They could not be read yet.')
    expect(text).toContain('Ask your administrator to activate your account.')
  })

  test('counts the rest of a long list', () => {
    const groups = Array.from({ length: 500 }, (_, n) => ({
      id: `${n}`,
      name: `Group ${n}`,
      type: 'OKTA_GROUP' as const,
    }))
    const html = deniedPage({ ...model, groups: { ...model.groups, groups } })
    expect(wordsOf(html)).toContain('and 440 more')
    expect(html.length).toBeLessThan(12_000)
  })
})

describe('the unavailable page', () => {
  const model = {
    ...PAGE,
    now: 10_000_000,
    application: 'Engineering',
    groups: { groups: [], freshAt: 10_000_000 - 7_200_000, source: 'okta' },
    tryAgainUrl: '/',
  }

  test('says that nobody was refused, how old the groups are and when to try again', () => {
    const text = wordsOf(unavailablePage({ ...model, code: 'ERR_DIRECTORY_UNREACHABLE' }))
    expect(text).toContain('You have not been refused.')
    expect(text).toContain('last read 2 hours ago')
    expect(text).toContain('This usually passes by itself: try again in 10 seconds.')
    expect(text).toContain('ERR_DIRECTORY_UNREACHABLE')
  })

  test.each(['ERR_DIRECTORY_UNAUTHORIZED', 'ERR_DIRECTORY_FORBIDDEN', 'ERR_DIRECTORY_TLS'] as const)(
    'does not ask anybody to wait for what waiting does not mend: %s',
    (code) => {
      const text = wordsOf(unavailablePage({ ...model, code }))
      expect(text).toContain('Waiting does not help: tell your administrator')
      expect(text).not.toMatch(/passes by itself|[Tt]ry again in/)
      expect(text).toContain(code)
    },
  )
})

test.each([
  ['ERR_BAD_REQUEST', 'That request did not work'],
  ['ERR_NOT_FOUND', 'There is nothing at this address'],
  ['ERR_RATE_LIMITED', 'Too many requests'],
  ['ERR_INTERNAL', 'Something went wrong'],
  ['ERR_UPSTREAM_CONNECT', 'The application cannot be reached'],
  ['ERR_STORE_UNAVAILABLE', 'Not available right now'],
  ['ERR_UPSTREAM_TIMEOUT', 'The application takes too long'],
  ['ERR_HEADERS_TOO_LARGE', 'Your browser sent too much'],
  ['ERR_METHOD', 'That cannot be done here'],
  ['ERR_BODY_TOO_LARGE', 'That is too large'],
  ['ERR_LOOP', 'This site is not set up correctly'],
  ['ERR_IDP_TLS', 'Not available'],
] as const)('the error page for %s is headed "%s", and shows sentence and code', (code, heading) => {
  const html = errorPage({ ...PAGE, code })
  expect(html).toContain(`<h1>${heading}</h1>`)
  expect(wordsOf(html)).toContain(ERRORS[code].sentence)
  expect(html).toContain(`<code>${code}</code>`)
})

test('whoever asked is never told to wait in vain, and never sent to an administrator for nothing', () => {
  for (const [name, info] of Object.entries<ErrorInfo>(ERRORS)) {
    const text = wordsOf(errorPage({ ...PAGE, code: name as ErrorCode }))
    const said = {
      waits: /passes by itself|Wait a minute|send it again/.test(text),
      tells: text.includes('Waiting does not help'),
    }
    if (info.waiting === 'in-vain') expect([name, said.waits]).toEqual([name, false])
    else expect([name, said.tells]).toEqual([name, false])
  }
})

test.each([
  ['sign-out', signOutPage({ ...PAGE, email: 'a@b.c', csrfToken: 'token-1' })],
  [
    'user',
    userPage({
      ...PAGE,
      person: { subject: '00u1' },
      issuer: 'https://org.okta.com',
      session: { createdAt: 0, expiresAt: 1 },
      sessions: { kind: 'elsewhere', url: 'https://authenticate.corp.example/.postern/' },
      groups: 'unknown',
      claims: {},
      csrfToken: 'token-1',
    }),
  ],
])('signing out from the %s page is a POST with the token', (_name, html) => {
  expect(html).toContain('<form method="post" action="/.postern/sign_out">')
  expect(html).toContain('<input type="hidden" name="csrf" value="token-1"/>')
})

function wordsOf(html: string): string {
  return html
    .slice(html.indexOf('<body>'))
    .replaceAll(/<(?:h\d|p|li|ul|section|div|dt|dd)[ >]/g, ' $&')
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/\s+/g, ' ')
}
