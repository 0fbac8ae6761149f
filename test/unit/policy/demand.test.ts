/** What a route asks of a sign-in (`acr_values`, `max_auth_age`), and who has signed in like that. */
import { describe, expect, test } from 'vitest'
import { formatDemand, isDemand, maxAgeOf, parseDemand, unmetBy } from '../../../src/policy/demand.ts'
import { decide } from '../../../src/policy/engine.ts'
import { personKey } from '../../../src/lib/person.ts'
import { FOREVER } from '../../../src/lib/time.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import type { Route } from '../../../src/config/route-model.ts'
import type { RequestFacts } from '../../../src/http/exchange.ts'
import type { Criterion, Policy, Principal } from '../../../src/policy/model.ts'
import type { JsonObject, SignInDemand } from '../../../src/types.ts'

const MINUTE = 60_000
const at = 1_800_000_000
const now = at * 1000
const strong: SignInDemand = { acrValues: ['urn:okta:loa:2fa:any', 'phr'] }
const recent: SignInDemand = { maxAuthAge: 15 * MINUTE }

function unmet(demand: SignInDemand, claims: JsonObject): string | undefined {
  return unmetBy({ identity: { issuer: 'i', subject: 's', claims } }, demand, now)
}

describe('a sign-in', () => {
  test.each([
    [{ acr: 'phr' }, undefined],
    [{ acr: 'urn:okta:loa:2fa:any' }, undefined],
    [{ acr: 'urn:okta:loa:1fa:any' }, 'acr'],
    [{ acr: 'PHR' }, 'acr'],
    [{ acr: ['phr'] }, 'acr'],
    [{ acr: '' }, 'acr'],
    [{}, 'acr'],
  ])('with %j among the acr_values: %s', (claims, expected) => {
    expect(unmet(strong, claims)).toBe(expected)
  })

  test.each([
    [{ auth_time: at }, undefined],
    [{ auth_time: at - 15 * 60 }, undefined],
    // Two clocks may be a minute apart, in either direction.
    [{ auth_time: at - 16 * 60 }, undefined],
    [{ auth_time: at - 16 * 60 - 1 }, 'auth-time'],
    [{ auth_time: at + 60 }, undefined],
    [{ auth_time: at + 61 }, 'auth-time'],
    [{ auth_time: String(at) }, 'auth-time'],
    [{ auth_time: at + 0.5 }, 'auth-time'],
    [{ auth_time: 1e300 }, 'auth-time'],
    [{ auth_time: null }, 'auth-time'],
    [{}, 'auth-time'],
  ])('with %j within 15 minutes: %s', (claims, expected) => {
    expect(unmet(recent, claims)).toBe(expected)
  })

  test.each([
    // Here a quarter of an hour ago at most; how long the provider's own sign-in was over by then, where it says so.
    [0, {}, undefined],
    [15 * MINUTE, {}, undefined],
    [15 * MINUTE + 1, {}, 'session-age'],
    [10 * MINUTE, { auth_time: at - 25 * 60 }, undefined],
    [10 * MINUTE, { auth_time: at - 60 * 60 }, 'auth-time'],
    [undefined, { auth_time: at }, 'session-age'],
  ])('%s ms ago, with %j, in a session of 15 minutes: %s', (ago, claims, expected) => {
    const signedIn = ago === undefined ? {} : { signedInAt: now - ago }
    const identity = { issuer: 'i', subject: 's', claims }
    expect(unmetBy({ identity, ...signedIn }, { maxSessionAge: 15 * MINUTE }, now)).toBe(expected)
  })

  test('the provider is asked for the shorter of two ages', () => {
    expect(maxAgeOf({ maxAuthAge: 7, maxSessionAge: 9 })).toBe(7)
    expect(maxAgeOf({ maxAuthAge: 9, maxSessionAge: 7 })).toBe(7)
    expect(maxAgeOf({ maxSessionAge: 7 })).toBe(7)
    expect(maxAgeOf({ maxAuthAge: 7 })).toBe(7)
    expect(maxAgeOf({})).toBeUndefined()
  })

  test('meets a demand in all its parts', () => {
    const both = { ...strong, ...recent }
    expect(unmet(both, { acr: 'phr', auth_time: at })).toBeUndefined()
    expect(unmet(both, { acr: 'phr', auth_time: at - 3600 })).toBe('auth-time')
    expect(unmet({}, {})).toBeUndefined()
  })
})

describe('a demand in writing', () => {
  test('comes back as it was', () => {
    for (const demand of [{}, strong, recent, { ...strong, ...recent }, { maxSessionAge: 5 }]) {
      expect(parseDemand(formatDemand(demand))).toEqual(demand)
    }
  })

  test.each([
    '',
    'null',
    '[]',
    '{"acrValues":[]}',
    '{"acrValues":"phr"}',
    '{"acrValues":[1]}',
    '{"maxAuthAge":"1m"}',
    '{"maxSessionAge":"1m"}',
  ])('%s is none', (text) => {
    expect(parseDemand(text)).toBeUndefined()
  })

  test('with a member that this version does not know is none: it would go unmet', () => {
    expect(isDemand({ ...strong, faceToFace: true })).toBe(false)
  })
})

describe('a route that asks for a strong sign-in', () => {
  const request = { id: 'r', method: 'GET', path: '/', clientIp: '192.0.2.1' } as RequestFacts
  const criterion = (ok: Criterion['ok'], test: boolean, needs: Criterion['needs'] = 'nothing'): Policy => ({
    kind: 'rules',
    allow: [
      {
        op: 'or',
        criteria: [
          {
            name: 'x',
            needs,
            ok,
            no: 'user-unauthorized',
            describe: 'x',
            wantedGroups: [],
            namedGroups: [],
            test: () => test,
          },
        ],
      },
    ],
    deny: [],
  })
  const person = (claims: JsonObject, more: object = {}): Principal => ({
    kind: 'session',
    provider: 'default',
    person: personKey({ issuer: 'i', subject: 's' }),
    identity: { issuer: 'i', subject: 's', claims },
    sessionId: 'session',
    expiresAt: FOREVER,
    membership: createMembership([], 0, 'test'),
    status: 'active',
    ...more,
  })
  const judged = (policy: Policy, who: Principal | undefined) => {
    const decision = decide({ name: 'app', policy, demand: strong } as Route, who, request, now)
    const { outcome, reasons } = decision
    return [outcome, reasons[0], decision.outcome === 'sign-in' ? decision.demand : undefined]
  }
  const weak = person({ acr: 'urn:okta:loa:1fa:any' })

  test('sends a weaker session to sign in as it asks', () => {
    expect(judged({ kind: 'signed-in' }, weak)).toEqual(['sign-in', 'authentication-insufficient', strong])
    expect(judged(criterion('user-ok', true, 'session'), weak)).toEqual([
      'sign-in',
      'authentication-insufficient',
      strong,
    ])
    expect(judged({ kind: 'signed-in' }, person({ acr: 'phr' }))).toEqual(['allow', 'signed-in', undefined])
  })

  test('tells nobody to sign in better whom the policy denies', () => {
    expect(judged(criterion('user-ok', false, 'session'), weak)).toEqual(['deny', 'user-unauthorized', undefined])
    expect(judged({ kind: 'signed-in' }, person({ acr: 'phr' }, { status: 'inactive' }))).toEqual([
      'deny',
      'user-inactive',
      undefined,
    ])
  })

  test('asks for it at the first sign-in, and where a rule lets everybody in', () => {
    expect(judged({ kind: 'signed-in' }, undefined)).toEqual(['sign-in', 'user-unauthenticated', strong])
    expect(judged(criterion('accept', true), undefined)).toEqual(['sign-in', 'user-unauthenticated', strong])
  })

  test('lets a preflight pass, which cannot be signed in', () => {
    expect(judged(criterion('cors-request', true), undefined)).toEqual(['allow', 'cors-request', undefined])
    expect(judged(criterion('cors-request', true), weak)).toEqual(['sign-in', 'authentication-insufficient', strong])
  })

  test('measures a token by what it says of its sign-in', () => {
    const token = { ...weak, kind: 'token', tokenId: 't', scopes: [], groupsFrom: 'token' } as Principal
    expect(judged({ kind: 'signed-in' }, token)).toEqual(['sign-in', 'authentication-insufficient', strong])
    const better = { ...token, identity: { ...token.identity, claims: { acr: 'phr' } } }
    expect(judged({ kind: 'signed-in' }, better)[0]).toBe('allow')
  })
})
