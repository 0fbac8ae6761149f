import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { groupsNamed, makeIdentity, makePrincipal } from '../../../cmd/postern/judge.ts'
import { formatIssue, parseConfig } from '../../../src/config/load.ts'
import type { Config } from '../../../src/config/model.ts'
import type { RequestFacts } from '../../../src/http/exchange.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { earlier } from '../../../src/lib/time.ts'
import { createApplications } from '../../../src/policy/applications.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import type { Principal } from '../../../src/policy/model.ts'
import { createRouteTable } from '../../../src/routing/table.ts'
import { facts } from '../upstream/support.ts'

type Settings = Readonly<Record<string, unknown>>

const now = systemClock.now()
const OPEN = { allow_any_authenticated_user: true }
const PUBLIC = { allow_public_unauthenticated_access: true }
const ENGINEERS = { allowed_groups: ['Engineering'] }
const at = (host: string, more: Settings): Settings => ({
  from: `https://${host}.corp.example`,
  to: `http://${host}`,
  ...more,
})

function configOf(routes: readonly Settings[], globals: Settings = {}): Config {
  const settings = {
    authenticate_service_url: 'https://authenticate.corp.example',
    insecure_server: true,
    shared_secret: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
    idp_provider_url: 'https://dev-1.okta.com',
    idp_client_id: '0oa1',
    idp_client_secret: 'a-secret-of-the-client',
    idp_service_account: '00token',
    routes,
    ...globals,
  }
  const loaded = parseConfig(stringify(settings), 'config.yaml', {}, () => '')
  if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
  return loaded.config
}

const groups = (...names: readonly string[]) => createMembership(groupsNamed(names), now, 'test')

function alice(config: Config, membership: Principal['membership'] = groups('Engineering'), provider = 'default') {
  const idp = config.fixed.idps.find(({ name }) => name === provider) ?? config.fixed.idps[0]
  return makePrincipal(
    provider,
    makeIdentity(idp, { subject: '00u1', email: 'alice@corp.example' }),
    membership,
    'active',
  )
}

function find(config: Config, who: readonly Principal[] = [alice(config)], over: Partial<RequestFacts> = {}) {
  const asked = facts({ host: 'authenticate.corp.example', scheme: 'https', wants: 'html', ...over })
  const { list, ...more } = createApplications(config.live.routes, createRouteTable(config.fixed, config.live))(
    who,
    asked,
    now,
  )
  return { urls: list.map(({ url, asksAgain }) => (asksAgain ? `${url} once more` : url)), ...more }
}
const urlsOf = (routes: readonly Settings[]): readonly string[] => find(configOf(routes)).urls

test('what the rules let this person open is there, by name, and nothing else', () => {
  const config = configOf([
    at('wiki', { ...ENGINEERS, name: 'wiki' }),
    at('payroll', { allowed_groups: ['Finance'] }),
    at('chat', { ...OPEN, name: 'Chat' }),
    at('status', PUBLIC),
    at('closed', {}),
  ])
  expect(find(config)).toEqual({
    urls: ['https://chat.corp.example/', 'https://status.corp.example/', 'https://wiki.corp.example/'],
  })
  expect(find(config, [alice(config, groups('Finance'))]).urls).toContain('https://payroll.corp.example/')
})

describe('an address', () => {
  test('is where the route begins: its path, its prefix, or what its expression fits', () => {
    const routes = [
      at('a', { ...OPEN, path: '/start' }),
      at('b', { ...OPEN, prefix: '/admin' }),
      at('c', { ...OPEN, regex: '/.*' }),
      at('d', { ...OPEN, regex: '/shop(/.*)?' }),
      at('e', { ...OPEN, regex: '/item/[0-9]+' }),
      { from: 'https://f.corp.example:8443', to: 'http://f', ...OPEN },
    ]
    expect(urlsOf(routes)).toEqual(
      [
        'https://c.corp.example/',
        'https://d.corp.example/shop',
        'https://a.corp.example/start',
        'https://b.corp.example/admin',
        'https://f.corp.example:8443/',
      ].toSorted(),
    )
  })

  test('of a wildcard host is known on the host that was asked alone', () => {
    const config = configOf([{ from: 'https://*.shop.example', to: 'http://shop', ...OPEN }])
    expect(find(config).urls).toEqual([])
    expect(find(config, undefined, { host: 'one.shop.example' }).urls).toEqual(['https://one.shop.example/'])
  })

  test('that an earlier route serves is that route’s, whether it opens or not', () => {
    const rest = at('a', { ...OPEN, name: 'rest' })
    expect(urlsOf([at('a', { ...ENGINEERS, path: '/', name: 'front' }), rest])).toEqual(['https://a.corp.example/'])
    expect(urlsOf([at('a', { path: '/', name: 'front', allowed_groups: ['Finance'] }), rest])).toEqual([])
  })

  test.each<readonly [string, Settings]>([
    ['another method', { methods: ['POST'] }],
    ['a header', { headers: { 'X-Env': 'beta' } }],
    ['a parameter', { query: { version: '2' } }],
  ])('that needs %s is no link', (_, condition) => {
    expect(urlsOf([at('a', { ...OPEN, ...condition })])).toEqual([])
  })
})

test('a header that cannot be read in one way hides the routes that look at it, and no other', () => {
  const config = configOf([
    at('a', { ...OPEN, headers: { 'X-Env': 'beta' } }),
    at('b', OPEN),
    at('c', { policy: { allow: { and: [{ 'http_header/X-Env': 'beta' }] } } }),
  ])
  const headers = {
    get(): never {
      throw new Error('x_env and x-env')
    },
  }
  expect(find(config, undefined, { headers }).urls).toEqual(['https://b.corp.example/'])
})

test('redirects and answers are shown when the configuration says so, and applications unless it says not', () => {
  const redirect = { from: 'https://go.corp.example', redirect: { host_redirect: 'a.corp.example' }, ...PUBLIC }
  const respond = { from: 'https://bye.corp.example', response: { status: 410 }, ...PUBLIC }
  expect(urlsOf([at('api', { ...OPEN, show_in_portal: false }), redirect, respond])).toEqual([])
  expect(urlsOf([{ ...redirect, show_in_portal: true }])).toEqual(['https://go.corp.example/'])
})

test('rules about the network are judged from where the person is', () => {
  const config = configOf([at('a', { policy: { allow: { and: [{ source_ip: '10.0.0.0/8' }] } } })])
  expect(find(config, undefined, { clientIp: '10.1.2.3' }).urls).toEqual(['https://a.corp.example/'])
  expect(find(config, undefined, { clientIp: '192.0.2.1' }).urls).toEqual([])
})

describe('unknown groups', () => {
  test('hide what depends on them, and say that something may be missing', () => {
    const config = configOf([at('wiki', ENGINEERS), at('chat', OPEN)])
    expect(find(config, [alice(config, 'unknown')])).toEqual({
      urls: ['https://chat.corp.example/'],
      incomplete: 'unknown',
    })
  })

  test('that only a sign-in tells are no matter of waiting', () => {
    const config = configOf([at('wiki', ENGINEERS), at('chat', OPEN)], { idp_service_account: undefined })
    expect(find(config, [{ ...alice(config, 'unknown'), status: 'unknown' }])).toEqual({
      urls: ['https://chat.corp.example/'],
      incomplete: 'told-at-sign-in',
    })
  })

  test('matter to nobody where no rule asks for them', () => {
    const config = configOf([at('chat', OPEN)])
    expect(find(config, [alice(config, 'unknown')]).incomplete).toBeUndefined()
  })
})

describe('a sign-in that is not enough', () => {
  test('opens after another one, for those whom the rules let in', () => {
    const config = configOf([at('safe', { ...ENGINEERS, max_auth_age: '1m' })])
    const old = { ...alice(config), signedInAt: earlier(now, 3_600_000) }
    expect(find(config, [old]).urls).toEqual(['https://safe.corp.example/ once more'])
    expect(find(config, [{ ...old, membership: groups('Sales') }]).urls).toEqual([])
  })

  test('of another provider says nothing of who would sign in there', () => {
    const globals = { identity_providers: { partners: { url: 'https://login.partner.example', client_id: 'postern' } } }
    const config = configOf([at('theirs', { ...OPEN, identity_provider: 'partners' })], globals)
    expect(find(config).urls).toEqual([])
    expect(find(config, [alice(config), alice(config, 'unknown', 'partners')]).urls).toEqual([
      'https://theirs.corp.example/',
    ])
  })
})
