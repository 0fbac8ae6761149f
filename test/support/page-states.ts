/** Every state of every page of ours: what is looked at by axe-core, shown in docs/pages.md, and known to be all. Tests only. */
import { type ErrorCode, ERRORS } from '../../src/errors.ts'
import { explainCallbackError } from '../../src/identity/callback-errors.ts'
import { later } from '../../src/lib/time.ts'
import {
  ago,
  ALICE,
  BACKWARDS,
  CALLBACKS,
  CHROME,
  decision,
  denied,
  HREF,
  type Kind,
  LONG,
  MANY,
  NOW,
  type PageState,
  SAFARI,
  STAFF,
  state,
  TOLD,
} from './page-samples.ts'

/** Codes that look each in its own way; the others differ in their words alone. */
const PICTURED: readonly ErrorCode[] = [
  'ERR_NOT_FOUND',
  'ERR_RATE_LIMITED',
  'ERR_CLOCK_SKEW',
  'ERR_IDP_CLIENT',
  'ERR_IDP_ISSUER',
  'ERR_IDP_TLS',
  'ERR_IDP_UNREACHABLE',
  'ERR_STORE_UNAVAILABLE',
  'ERR_UPSTREAM_CONNECT',
  'ERR_UPSTREAM_CERTIFICATE',
  'ERR_UPSTREAM_TIMEOUT',
  'ERR_INTERNAL',
]
const UNAVAILABLE: readonly ErrorCode[] = [
  'ERR_GROUPS_UNKNOWN',
  'ERR_DIRECTORY_UNAUTHORIZED',
  'ERR_DIRECTORY_FORBIDDEN',
  'ERR_DIRECTORY_TLS',
  'ERR_DIRECTORY_UNREACHABLE',
  'ERR_DIRECTORY_RATE_LIMITED',
  'ERR_DIRECTORY_BAD_ANSWER',
]
/** The compiler misses a page that is not here. */
const STATES: { readonly [K in Kind]: readonly PageState[] } = {
  'choose-provider': [
    state(
      'choose-provider',
      'nobody is signed in',
      200,
      {
        providers: [
          { label: 'Staff', href: '/a' },
          { label: 'Partners', href: '/b' },
        ],
        signedInWith: [],
      },
      'picture',
    ),
    state('choose-provider', 'signed in elsewhere', 200, {
      providers: [{ label: LONG, href: '/a' }],
      signedInWith: ['Partners', 'Guests'],
    }),
  ],
  denied: [
    denied(
      'not in a group',
      { reasons: ['groups-unauthorized'], wantedGroups: ['Engineering', 'SRE'], groups: STAFF },
      'picture',
    ),
    denied('one group, of a sign-in', {
      reasons: ['groups-unauthorized'],
      wantedGroups: ['Engineering'],
      groups: TOLD,
    }),
    denied('many long groups', { reasons: ['groups-unauthorized'], wantedGroups: [LONG], groups: MANY }),
    denied('in no group', {
      reasons: ['groups-unauthorized'],
      wantedGroups: ['SRE'],
      groups: { ...STAFF, groups: [] },
    }),
    denied('groups unknown', { reasons: ['email-unauthorized'], groups: 'unknown' }),
    denied(
      'no groups claim',
      { code: 'ERR_GROUPS_CLAIM_ABSENT', reasons: ['groups-claim-absent'], groups: 'unknown' },
      'picture',
    ),
    denied('without details', { reasons: [] }, 'picture'),
    denied('several reasons', { reasons: ['no-rule-matched', 'source-ip-unauthorized', 'time-of-day-unauthorized'] }),
    denied('an address that is not verified', { reasons: ['email-unverified', 'domain-unauthorized'] }),
    denied('not active', { reasons: ['user-inactive'] }, 'picture'),
    denied('a fault of a rule', { reasons: ['policy-error'] }),
    denied('closed now', { reasons: ['day-of-week-unauthorized'] }),
    state(
      'denied',
      'no certificate, nobody',
      495,
      {
        application: LONG,
        code: 'ERR_CLIENT_CERTIFICATE',
        reasons: ['client-certificate-required'],
        wantedGroups: [],
      },
      'picture',
    ),
    denied('a long address', {
      person: { subject: '00u1' },
      reasons: ['user-unauthorized'],
      tryAgainUrl: HREF + LONG.repeat(8),
    }),
  ],
  error: [
    ...(Object.keys(ERRORS) as ErrorCode[]).map((code) =>
      state('error', code, ERRORS[code].status, { code }, PICTURED.includes(code) ? 'picture' : 'words'),
    ),
    state('error', 'with all that can be said', 400, {
      code: 'ERR_BAD_PATH',
      status: 501,
      sentence: 'This address can be read in more than one way.',
      limit: 'timeout (30s)',
      detail: `the path holds ${LONG}`,
      advice: 'path_with_escaped_slashes_action: keep',
      application: LONG,
      wayOn: { href: HREF, label: 'Try again' },
    }),
    state('error', 'of an application, and in vain', 502, {
      code: 'ERR_UPSTREAM_CERTIFICATE',
      application: 'Wiki',
      wayOn: { href: HREF, label: 'Try again' },
    }),
  ],
  portal: [
    state(
      'portal',
      'some applications',
      200,
      {
        person: ALICE,
        search: '',
        applications: ['Wiki', 'Build', 'Mail', 'Chat', 'Shop', 'Map', 'Pay'].map((name, n) => ({
          name,
          url: `https://${name.toLowerCase()}.corp.example/`,
          asksAgain: n === 1,
          ...(n === 0 && {
            description: 'What everybody knows, and where it is written.',
            logoUrl: 'https://static.corp.example/logo.svg',
          }),
        })),
      },
      'picture',
    ),
    state('portal', 'nothing found', 200, {
      person: ALICE,
      statusUrl: '/.postern/status',
      search: LONG.slice(0, 90),
      applications: [],
    }),
    state('portal', 'nothing', 200, { person: ALICE, search: '', applications: [] }),
    state('portal', 'backwards, and a logo that is gone', 200, {
      person: { ...ALICE, name: BACKWARDS },
      search: '',
      applications: [
        {
          name: 'בית הספר (v2)',
          url: 'https://app.corp.example/',
          asksAgain: false,
          description: 'تطبيق لإدارة الموظفين (HR)',
          logoUrl: 'https://static.corp.example/gone.svg',
        },
      ],
    }),
    state('portal', 'nothing found backwards', 200, { person: ALICE, search: BACKWARDS, applications: [] }),
    state('portal', 'groups unknown', 200, { person: ALICE, search: '', incomplete: 'unknown', applications: [] }),
    state('portal', 'an application called as its address', 200, {
      person: { subject: LONG },
      search: 'app',
      applications: [
        { name: 'app.corp.example', url: 'https://app.corp.example/', asksAgain: false, description: LONG },
      ],
    }),
  ],
  'program-done': [
    state('program-done', 'a code to copy', 200, { code: 'pst_c_0123456789abcdefghijklmnopqrstuvwxyz' }),
    state('program-done', 'back to the program', 200, { back: 'http://127.0.0.1:40000/?code=1' }),
    state('program-done', 'refused', 200, {}),
  ],
  'program-login': [
    state(
      'program-login',
      'on this machine',
      200,
      {
        person: 'alice@corp.example',
        application: 'wiki.corp.example',
        program: '127.0.0.1:40000',
        until: later(NOW, 3_600_000),
        csrfToken: 't',
      },
      'picture',
    ),
    state('program-login', 'elsewhere', 200, {
      person: LONG,
      application: `${LONG.slice(0, 60)}.corp.example`,
      program: 'tools.corp.example',
      until: later(NOW, 3_600_000),
      csrfToken: 't',
    }),
    state('program-login', 'to be copied', 200, {
      person: 'alice@corp.example',
      application: 'wiki.corp.example',
      until: later(NOW, 3_600_000),
      csrfToken: 't',
    }),
  ],
  'session-over': (['ended', 'insufficient', 'elsewhere'] as const).map((why) =>
    state('session-over', why, 401, { signInUrl: HREF, why }, why === 'ended' ? 'picture' : undefined),
  ),
  'sign-in-failed': [
    ...CALLBACKS.map(([error, description]) => {
      const { hint, title, whatToDo, waiting } = explainCallbackError(error, description)
      return state(
        'sign-in-failed',
        hint,
        403,
        {
          title,
          whatToDo,
          error,
          ...(description !== undefined && { description }),
          tryAgainUrl: HREF,
          inVain: waiting === 'in-vain',
        },
        hint === 'not-assigned' || hint === 'access-denied' ? 'picture' : 'words',
      )
    }),
    state('sign-in-failed', 'without the words of the provider', 403, {
      title: 'The sign-in did not complete',
      whatToDo: 'Try again.',
      tryAgainUrl: HREF,
      inVain: false,
    }),
  ],
  'sign-out': [
    state('sign-out', 'here', 200, { email: 'alice@corp.example', csrfToken: 't' }, 'picture'),
    state('sign-out', 'with others elsewhere', 200, {
      email: LONG,
      csrfToken: 't',
      returnTo: HREF,
      everywhereAt: 'https://authenticate.corp.example/.postern/sign_out',
    }),
  ],
  'signed-out': [
    state('signed-out', 'everywhere', 200, { signInUrl: HREF }, 'picture'),
    state('signed-out', 'still with another provider', 200, {
      signInUrl: HREF,
      still: { email: 'alice@partner.example', signOutUrl: '/.postern/sign_out' },
    }),
  ],
  status: [
    state('status', 'in order', 200, {
      version: '1.0.0',
      process: 4711,
      startedAt: ago(90),
      directories: [],
      shared: false,
      components: [{ name: 'store', status: 'ok' }],
      upstreams: [],
      limits: [],
      people: 0,
      streams: 0,
      configuration: { checksum: 1, inForceSince: ago(60), routes: 1, warnings: [], needsRestart: [] },
      refused: [],
      allowed: [],
      question: { url: '', method: 'GET', user: '', ip: '' },
    }),
    ...[{ problem: 'expected an address' }, { person: 'nobody', decision: 'sign-in' }].map((answer, n) =>
      state(
        'status',
        `degraded, with question ${n + 1}`,
        200,
        {
          version: '1.0.0',
          process: 4711,
          startedAt: ago(90),
          shared: true,
          components: [
            { name: 'directory', status: 'degraded', since: ago(3), detail: 'okta: ERR_DIRECTORY_UNREACHABLE' },
            { name: 'store', status: 'ok' },
          ],
          upstreams: Array.from({ length: 101 }, (_, each) => ({
            upstream: `http://10.0.0.${each}:8080`,
            health: each === 0 ? 'unhealthy' : 'healthy',
            ...(each === 0 && { detail: 'its health check answered 500' }),
            active: each,
            pending: 0,
            tunnels: 0,
          })),
          limits: [{ name: '/api/v1/users', limit: 600, remaining: 321, allowance: 300 }],
          sessions: 1234,
          directories: [
            { issuer: 'https://corp.okta.com', source: 'okta', people: 1990, staleness: 5000, leading: true },
            {
              issuer: 'https://partners.okta.com',
              source: 'okta',
              people: 10,
              leading: false,
              trouble: {
                at: ago(3),
                code: 'ERR_DIRECTORY_UNAUTHORIZED',
                message: 'okta: the API token is not accepted',
              },
            },
          ],
          people: 2000,
          streams: 17,
          configuration: {
            checksum: 123_456,
            inForceSince: ago(600),
            routes: 40,
            needsRestart: ['storage.url', 'workers'],
            warnings: Array.from({ length: 60 }, (_, line) => `config.yaml:${line}:1: it is hard to see`),
            refused: { at: ago(5), problem: `config.yaml:3:1 routes[0]: unknown key "${LONG}"` },
          },
          refused: [decision(1, 'deny', 403)],
          allowed: [decision(2, 'allow')],
          question: { url: HREF, method: 'GET', user: 'alice@corp.example', ip: '203.0.113.7' },
          answer:
            'problem' in answer
              ? answer
              : {
                  ...answer,
                  groups: 'Everyone, Staff',
                  route: 'Wiki',
                  policy: ['allow:', '  or:', '    - groups: {has: Engineering}'],
                  earlier: ['Build: another host'],
                },
        },
        n === 1 ? 'picture' : undefined,
      ),
    ),
  ],
  unavailable: [
    ...UNAVAILABLE.map((code) =>
      state(
        'unavailable',
        code,
        503,
        { application: 'Wiki', code, person: ALICE, groups: 'unknown', tryAgainUrl: HREF },
        code === 'ERR_DIRECTORY_UNAUTHORIZED' || code === 'ERR_GROUPS_UNKNOWN' ? 'picture' : 'words',
      ),
    ),
    state('unavailable', 'old groups, a form was sent', 503, {
      application: LONG,
      code: 'ERR_DIRECTORY_UNREACHABLE',
      groups: { ...STAFF, freshAt: ago(200) },
    }),
  ],
  user: [
    state(
      'user',
      'all that can be known',
      200,
      {
        person: ALICE,
        issuer: 'https://corp.okta.com',
        session: { createdAt: ago(120), expiresAt: later(NOW, 43_200_000) },
        sessions: {
          kind: 'listed',
          list: [
            {
              tag: 'a',
              isThis: true,
              userAgent: CHROME,
              clientIp: '203.0.113.7',
              signedInAt: ago(120),
              lastSeenAt: NOW,
            },
            {
              tag: 'b',
              isThis: false,
              userAgent: SAFARI,
              programs: ['wiki.corp.example'],
              signedInAt: ago(900),
              lastSeenAt: ago(3),
            },
            ...Array.from({ length: 30 }, (_, n) => ({
              tag: `c${n}`,
              isThis: false,
              signedInAt: ago(9),
              lastSeenAt: ago(9),
            })),
          ],
        },
        groups: STAFF,
        claims: { department: 'Engineering', level: 3, nested: { text: LONG.repeat(3) } },
        csrfToken: 't',
      },
      'picture',
    ),
    state('user', 'hardly anything, on the host of an application', 200, {
      person: { subject: LONG },
      issuer: 'https://corp.okta.com',
      session: { createdAt: NOW, expiresAt: NOW },
      sessions: { kind: 'elsewhere', url: 'https://authenticate.corp.example/.postern/' },
      groups: 'unknown',
      claims: {},
      csrfToken: 't',
    }),
    state('user', 'an address and no name', 200, {
      person: { email: 'alice@corp.example', subject: '00u1' },
      issuer: 'https://corp.okta.com',
      session: { createdAt: ago(1), expiresAt: later(NOW, 60_000) },
      sessions: { kind: 'listed', list: [] },
      groups: { ...STAFF, groups: [], source: 'scim' },
      claims: {},
      csrfToken: 't',
    }),
  ],
}

export const PAGE_STATES: readonly PageState[] = Object.values(STATES).flat()
