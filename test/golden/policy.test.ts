/**
 * Each file in policy/ is a policy (or a route's access keys) and people who ask. A file is read as:
 * under this policy, this person with these groups, sending this request, gets this answer for these reasons.
 */
import { headerLines } from '../../src/http/header-lines.ts'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { decide } from '../../src/policy/engine.ts'
import { compileAccess, type LegacyAccess } from '../../src/policy/legacy.ts'
import { personKey } from '../../src/lib/person.ts'
import { FOREVER, wallTime } from '../../src/lib/time.ts'
import { createMembership } from '../../src/policy/membership.ts'
import { RequestHeaders } from '../../src/routing/header-view.ts'
import { servicePrincipal } from '../../src/policy/service-principal.ts'
import { parsePolicy } from '../../src/policy/parse.ts'
import type { Group } from '../../src/directory/model.ts'
import type { JsonObject } from '../../src/types.ts'
import type { Policy, Principal } from '../../src/policy/model.ts'
import type { RequestFacts } from '../../src/http/exchange.ts'
import type { ClientCertificate } from '../../src/http/request.ts'
import type { Route } from '../../src/config/route-model.ts'

interface GoldenCase {
  readonly who: string
  readonly groups?: 'unknown' | readonly (string | Group)[]
  readonly status?: Principal['status']
  readonly email?: string | null
  readonly claims?: JsonObject
  /** A program with a service token of this name, or whoever has a bearer token, instead of a session. */
  readonly service?: string
  readonly token?: { readonly issuer?: string; readonly account?: string; readonly scopes?: readonly string[] }
  /** Of the session. */
  readonly provider?: string
  readonly method?: string
  readonly path?: string
  readonly ip?: string
  readonly query?: string
  /** Origin is one of them. */
  readonly headers?: readonly string[]
  /** Of the client; its end as `at`. */
  readonly certificate?: Partial<Omit<ClientCertificate, 'names' | 'notAfter'>> & {
    readonly names?: Partial<ClientCertificate['names']>
    readonly until?: string
  }
  /** When they ask; the start of 1970 unless said. */
  readonly at?: string
  readonly expect: string
  readonly reasons: readonly string[]
}

interface GoldenFile {
  readonly policy?: unknown
  readonly groups_from?: 'sign-in'
  readonly access?: Partial<Record<keyof typeof ACCESS_KEYS, unknown>>
  readonly cases: readonly GoldenCase[]
}

const ACCESS_KEYS = {
  allow_public_unauthenticated_access: 'allowPublic',
  allow_any_authenticated_user: 'allowAnyAuthenticated',
  allowed_users: 'allowedUsers',
  allowed_domains: 'allowedDomains',
  allowed_groups: 'allowedGroups',
  allowed_idp_claims: 'allowedIdpClaims',
} as const

const CASE_KEYS = new Set(['who', 'groups', 'status', 'email', 'claims', 'service', 'token', 'provider', 'method', 'path', 'ip', 'query', 'headers', 'certificate', 'at', 'expect', 'reasons'])
const folder = new URL('./policy/', import.meta.url)

for (const file of readdirSync(folder).filter((name) => name.endsWith('.yaml') && name !== 'invalid.yaml').sort()) {
  describe(file, () => {
    const golden = parse(readFileSync(new URL(file, folder), 'utf8')) as GoldenFile
    const route = { name: file, policy: policyOf(golden), toldAtSignIn: golden.groups_from && ['default'] } as Partial<Route> as Route
    if (golden.cases.length === 0) throw new Error(`${file} has no cases`)
    golden.cases.forEach((one, index) => {
      const { who, expect: outcome, reasons, ...circumstances } = one
      test(`${index + 1}. ${who} ${JSON.stringify(circumstances)} → ${outcome}`, () => {
        expect(Object.keys(one).filter((key) => !CASE_KEYS.has(key))).toEqual([])
        const decision = decide(route, principalOf(one), requestOf(one), one.at === undefined ? 0 : Date.parse(one.at))
        expect({ outcome: decision.outcome, reasons: [...decision.reasons].sort() }).toEqual({
          outcome,
          reasons: [...reasons].sort(),
        })
      })
    })
  })
}

describe('invalid.yaml', () => {
  const cases = parse(readFileSync(new URL('invalid.yaml', folder), 'utf8')) as { policy: unknown; issues: string[] }[]
  for (const { policy, issues } of cases) {
    test(JSON.stringify(policy), () => {
      const parsed = parsePolicy(policy)
      expect(parsed.kind === 'invalid' && parsed.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual(issues)
    })
  }
})

function policyOf({ policy, access }: GoldenFile): Policy {
  const parsed = policy === undefined ? undefined : parsePolicy(policy)
  if (parsed?.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues))
  const legacy: Record<string, unknown> = {
    allowPublic: false,
    allowAnyAuthenticated: false,
    allowedUsers: [],
    allowedDomains: [],
    allowedGroups: [],
    allowedIdpClaims: new Map(),
  }
  for (const [key, value] of Object.entries(access ?? {})) {
    const name = ACCESS_KEYS[key as keyof typeof ACCESS_KEYS]
    legacy[name] = name === 'allowedIdpClaims' ? new Map(Object.entries(value as object)) : value
  }
  return compileAccess(legacy as unknown as LegacyAccess, parsed)
}

/** `nobody` is signed out; anybody else is `NAME@corp.example` with the subject `00u_NAME`. */
function principalOf({ who, groups = [], status = 'active', email, claims = {}, service, token, provider = 'default' }: GoldenCase): Principal | undefined {
  if (who === 'nobody') return undefined
  if (service !== undefined) {
    return servicePrincipal({ id: 't1', account: service, expiresAt: FOREVER, groups: groups as readonly string[] })
  }
  const address = email === undefined ? `${who}@corp.example` : email
  const list = groups === 'unknown' ? [] : groups.map((group) => (typeof group === 'string' ? oktaGroup(group) : group))
  const issuer = token?.issuer ?? 'https://okta.test'
  const somebody = {
    person: personKey({ issuer, subject: `00u_${who}` }),
    identity: { issuer, subject: `00u_${who}`, claims, ...(address === null ? {} : { email: address }) },
    expiresAt: FOREVER,
    membership: groups === 'unknown' ? 'unknown' : createMembership(list, 0, 'test'),
    status,
  } as const
  if (!token) return { ...somebody, kind: 'session', provider, sessionId: 'session' }
  const { account, scopes = [] } = token
  return {
    ...somebody,
    kind: 'token',
    tokenId: 't1',
    scopes,
    groupsFrom: account === undefined ? 'directory' : 'token',
    ...(account !== undefined && { account }),
  }
}

function oktaGroup(name: string): Group {
  return { id: `00g${Buffer.from(name).toString('hex').padStart(17, '0').slice(-17)}`, name, type: 'OKTA_GROUP' }
}

function requestOf({ method = 'GET', path = '/', ip = '192.0.2.7', query = '', headers = [], certificate }: GoldenCase): RequestFacts {
  const raw = headers.flatMap((line) => line.split(/: (.*)/).slice(0, 2))
  return {
    id: 'request',
    method,
    path,
    clientIp: ip,
    clientCertificate: certificate && certificateOf(certificate),
    host: 'app.corp.example',
    port: undefined,
    query,
    scheme: 'https',
    wants: 'html',
    cookie: '',
    origin: headers.find((line) => line.startsWith('Origin: '))?.slice(8),
    userAgent: '',
    headers: new RequestHeaders(headerLines(raw), new Set()),
  }
}

function certificateOf({ names, until, ...certificate }: NonNullable<GoldenCase['certificate']>): ClientCertificate {
  return {
    fingerprint: 'a'.repeat(64),
    spkiHash: `${'A'.repeat(43)}=`,
    fault: undefined,
    checkedBy: '1',
    ...certificate,
    names: { dns: [], email: [], ipAddress: [], uri: [], userPrincipalName: [], ...names },
    notAfter: wallTime(until === undefined ? 1 : Date.parse(until)),
  }
}
