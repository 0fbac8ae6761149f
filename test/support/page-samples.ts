/** What pages are shown with, and what makes a state of one. Tests only. */
import type { PageSettings } from '../../src/config/model.ts'
import { paletteOf } from '../../src/lib/palette.ts'
import { later, wallTime } from '../../src/lib/time.ts'
import type { Page } from '../../src/pages/render.ts'

export type Kind = Page['kind']

export interface PageState {
  readonly name: string
  readonly status: number
  readonly page: Page
  /** `picture`: shown in docs/pages.md. `words`: another with a picture differs from it in its words alone. */
  readonly as?: 'picture' | 'words'
}

/** What an operator may change. */
export const LOOKS = {
  ours: { productName: 'Postern' },
  branded: {
    productName: 'Corp Access',
    supportUrl: 'mailto:help@corp.example',
    troubleshootingUrl: 'https://docs.corp.example/postern/troubleshooting',
    firstParagraph: 'This is the door to the applications of Corp. Something did not work on the way in.',
    logoUrl: 'https://static.corp.example/logo.svg',
    // Colours that cannot be read where they stand, before they are moved.
    colors: { light: paletteOf('#ffd400', '#ffd400', 'light'), dark: paletteOf('#40004f', '#40004f', 'dark') },
  },
  helpful: {
    productName: 'Postern',
    supportUrl: 'https://help.corp.example/it/',
    faviconUrl: 'https://static.corp.example/icon.svg',
    colors: { dark: paletteOf('#0b5394', '#0b5394', 'dark') },
  },
  written: { productName: 'Postern', supportUrl: 'mailto:help@corp.example?subject=Door' },
} as const satisfies Record<string, PageSettings>

export const NOW = wallTime(Date.UTC(2026, 10, 21, 10, 17, 5))
export const ago = (minutes: number) => later(NOW, -minutes * 60_000)
export const ALICE = { name: 'Alice Example', email: 'alice@corp.example', subject: '00u1' }
export const LONG = 'a-name-that-nobody-would-give-by-hand-but-a-generator-does'.repeat(3)
/** Turns what follows around, where nothing holds it (U+202E). */
export const BACKWARDS = '\u202eAlice'
export const group = (name: string) => ({ id: name, name, type: 'OKTA_GROUP' as const })
export const STAFF = { groups: ['Everyone', 'Staff', 'Sales EMEA'].map(group), freshAt: ago(2), source: 'okta' }
export const TOLD = { ...STAFF, source: 'claims' }
export const MANY = { ...STAFF, groups: Array.from({ length: 80 }, (_, n) => group(`Group ${n} ${LONG}`)) }
export const HREF = 'https://wiki.corp.example/start'
export const CHROME =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
export const SAFARI = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1'

type Of<K extends Kind> = Omit<Extract<Page, { kind: K }>, 'kind'>

export function state<K extends Kind>(
  kind: K,
  name: string,
  status: number,
  page: Of<K>,
  as?: PageState['as'],
): PageState {
  // Put together again: the compiler does not see that the two halves of one member are that member.
  return { name: `${kind}: ${name}`, status, page: { kind, ...page } as unknown as Page, ...(as && { as }) }
}

export const denied = (
  name: string,
  page: Partial<Of<'denied'>> & Pick<Of<'denied'>, 'reasons'>,
  as?: PageState['as'],
): PageState =>
  state(
    'denied',
    name,
    403,
    { application: 'Wiki', code: 'ERR_DENIED', person: ALICE, wantedGroups: [], tryAgainUrl: HREF, ...page },
    as,
  )

/** As the status page lists it. */
export function decision(n: number, outcome: string, status?: number) {
  return {
    at: ago(n),
    requestId: `TUR8jphvoGM-${n}`,
    method: 'GET',
    host: 'wiki.corp.example',
    path: `/${LONG}`,
    route: 'Wiki',
    outcome,
    reasons: [outcome === 'allow' ? 'groups-ok' : 'groups-unauthorized'],
    ...(status !== undefined && { status, person: 'alice@corp.example' }),
  }
}

/** One `error` (and a piece of its description) for each hint. */
export const CALLBACKS: readonly (readonly [error: string, description?: string])[] = [
  ['access_denied', 'User is not assigned to the client application.'],
  ['access_denied', 'Policy evaluation failed for this request'],
  ['access_denied', 'all requested scopes were rejected'],
  ['access_denied', 'network zone'],
  ['access_denied', 'Sign-in was canceled'],
  ['access_denied', 'User status is invalid.'],
  ['access_denied', 'could not match social profile'],
  ['access_denied'],
  ['login_required', 'request expired'],
  ['login_required'],
  ['consent_required'],
  ['unmet_authentication_requirements'],
  ['invalid_scope'],
  ['server_error', 'too many groups'],
  ['server_error', 'claim could not be evaluated'],
  ['invalid_request', "The 'redirect_uri' parameter is missing."],
  ['server_error'],
  ['temporarily_unavailable'],
  ['bad_answer'],
  ['never_heard_of'],
]
