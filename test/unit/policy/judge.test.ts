import { describe, expect, test } from 'vitest'
import { judge } from '../../../src/policy/judge.ts'
import { isGrant } from '../../../src/policy/engine.ts'
import { createRouteTable } from '../../../src/routing/table.ts'
import type { ClientCertificate, RequestFacts } from '../../../src/http/request.ts'
import { wallTime } from '../../../src/lib/time.ts'
import type { Policy } from '../../../src/policy/model.ts'
import { parsePolicy } from '../../../src/policy/parse.ts'
import { facts as factsOf, NAMING, principal, route as routeOf, type RouteOptions } from '../upstream/support.ts'

const NOW = 1_000_000

function rules(document: unknown): Policy {
  const parsed = parsePolicy(document)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues))
  return parsed.kind === 'ok' ? { kind: 'rules', allow: parsed.allow, deny: parsed.deny } : { kind: 'public' }
}

function generation(...routes: readonly RouteOptions[]) {
  return {
    routes: createRouteTable(
      {
        authenticateServiceUrl: new URL('http://authenticate.test'),
        authenticateCallbackPath: '/oauth2/callback',
        services: 'all',
      },
      { routes: routes.map((over) => routeOf('http://127.0.0.1:1', over)), naming: NAMING, publicHealthPaths: [] },
    ),
  }
}

const facts = (over: Partial<RequestFacts> = {}): RequestFacts => factsOf({ wants: 'html', ...over })
const upgrade = (origin?: string): RequestFacts => facts({ wants: 'upgrade', origin })

describe('judge says what is to be done with a request', () => {
  const signedIn = generation({ policy: { kind: 'signed-in' } })

  test('not-found where no route serves the host', () => {
    expect(judge(signedIn, facts({ host: 'other.test' }), principal(), NOW)).toEqual({ outcome: 'not-found' })
  })

  test('control on a path of ours, whoever asks', () => {
    expect(judge(signedIn, facts({ path: '/.postern/sign_out' }), undefined, NOW)).toEqual({
      outcome: 'control',
      control: { kind: 'control', action: 'sign-out', on: 'route', origin: 'http://app.test' },
    })
  })

  test('not-found on a path under our prefix that does not exist: it is never forwarded', () => {
    const everything = generation({ policy: { kind: 'public' } })
    expect(judge(everything, facts({ path: '/.postern/else' }), undefined, NOW)).toEqual({ outcome: 'not-found' })
  })

  test('what the policy says on a route, with a grant when it allows', () => {
    expect(judge(signedIn, facts(), undefined, NOW).outcome).toBe('sign-in')
    expect(judge(signedIn, facts(), principal({ status: 'inactive' }), NOW).outcome).toBe('deny')
    const verdict = judge(signedIn, facts(), principal(), NOW)
    expect(verdict.outcome === 'allow' && isGrant(verdict.grant)).toBe(true)
  })

  test('the same with a match that is known already', () => {
    const asked = facts()
    expect(judge(signedIn, asked, principal(), NOW, signedIn.routes.match(asked)).outcome).toBe('allow')
    expect(judge(signedIn, asked, principal(), NOW, { kind: 'none' }).outcome).toBe('not-found')
  })
})

describe('judge of a client certificate', () => {
  const certificate: ClientCertificate = {
    fingerprint: 'a'.repeat(64),
    spkiHash: '',
    names: { dns: [], email: [], ipAddress: [], uri: [], userPrincipalName: [] },
    notAfter: wallTime(NOW + 1),
    fault: undefined,
    checkedBy: '1',
  }
  const invalid = { outcome: 'deny', reasons: ['invalid-client-certificate'] }
  const asked = facts({ clientCertificate: certificate })

  test.each([
    ['this configuration', { version: '1', required: true }, { outcome: 'allow' }],
    ['another, of a stream that began before it', { version: '2', required: true }, invalid],
  ])('checked by %s', (_, mtls, verdict) => {
    expect(judge(generation({ mtls }), asked, undefined, NOW)).toMatchObject(verdict)
  })

  test.each([
    ['this configuration', { version: '1', required: false }, { outcome: 'allow' }],
    ['another', { version: '2', required: false }, invalid],
    ['one that asks nobody any more', undefined, invalid],
  ])('a rule that keeps out whoever has none, with one checked by %s', (_, mtls, verdict) => {
    const policy = rules([
      { allow: { or: [{ accept: true }] } },
      { deny: { or: [{ invalid_client_certificate: true }] } },
    ])
    expect(judge(generation({ policy, ...(mtls && { mtls }) }), asked, undefined, NOW)).toMatchObject(verdict)
  })
})

describe('judge of an upgrade', () => {
  const allowed = { outcome: 'allow' }
  const denied = (reason: string) => ({ outcome: 'deny', reasons: [reason] })
  const outcomeOf = (
    routes: readonly RouteOptions[],
    asked: RequestFacts,
    who = undefined as Parameters<typeof judge>[2],
  ) => {
    const { outcome, ...more } = judge(generation(...routes), asked, who, NOW)
    return outcome === 'deny' ? { outcome, reasons: 'reasons' in more ? more.reasons : [] } : { outcome }
  }

  test('websockets-off on a route without WebSockets, public routes too; other requests pass', () => {
    expect(outcomeOf([{ allowWebsockets: false }], upgrade())).toEqual(denied('websockets-off'))
    expect(outcomeOf([{ allowWebsockets: false }], facts())).toEqual(allowed)
    expect(outcomeOf([{ allowWebsockets: false, policy: { kind: 'signed-in' } }], upgrade(), principal())).toEqual(
      denied('websockets-off'),
    )
  })

  test('a sign-in, a denial and an unknown stay what they are', () => {
    const needsGroup = { policy: rules({ allow: { or: [{ groups: 'Other' }] } }), allowWebsockets: false }
    expect(outcomeOf([needsGroup], upgrade())).toEqual({ outcome: 'sign-in' })
    expect(outcomeOf([needsGroup], upgrade(), principal())).toEqual(denied('groups-unauthorized'))
    expect(outcomeOf([needsGroup], upgrade(), principal({ membership: 'unknown' }))).toEqual({ outcome: 'unavailable' })
  })

  test.each<[origin: string | undefined, outcome: object]>([
    [undefined, allowed],
    ['http://app.test', allowed],
    ['https://partner.test', allowed],
    ['https://app.test', denied('origin-unauthorized')],
    ['http://app.test.evil.test', denied('origin-unauthorized')],
    ['http://evil.test', denied('origin-unauthorized')],
    ['null', denied('origin-unauthorized')],
    ['', denied('origin-unauthorized')],
  ])('of somebody signed in, from a page of the origin %j', (origin, outcome) => {
    const route = { policy: { kind: 'signed-in' } as const, allowOrigins: ['https://partner.test'] }
    expect(outcomeOf([route], upgrade(origin), principal())).toEqual(outcome)
  })

  test('a foreign page may not use the address of its reader: rules that let nobody in particular in ask for the origin, too', () => {
    const byAddress = { policy: rules({ allow: { or: [{ source_ip: '127.0.0.0/8' }] } }) }
    expect(outcomeOf([byAddress], upgrade('http://app.test'))).toEqual(allowed)
    expect(outcomeOf([byAddress], upgrade('http://evil.test'))).toEqual(denied('origin-unauthorized'))
  })

  test.each([
    ['http://app.test', true],
    [undefined, true],
    ['http://evil.test', false],
    ['null', false],
  ])('on a public route with `identity: optional`, from %j: is the person known? %s', (origin, known) => {
    const open = generation({ policy: { kind: 'public', identity: 'optional' } })
    const verdict = judge(open, upgrade(origin), principal(), NOW)
    expect(verdict.outcome === 'allow' && verdict.grant.principal !== undefined).toBe(known)
    expect(verdict.outcome).toBe('allow')
  })

  test('a public route has no say about pages: the application sees the Origin and decides', () => {
    expect(outcomeOf([{ policy: { kind: 'public' } }], upgrade('http://evil.test'))).toEqual(allowed)
  })
})
