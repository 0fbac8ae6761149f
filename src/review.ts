/** The access review of the command line: everybody whose groups are known, every route. */
import type { Config } from './config/model.ts'
import type { Route } from './config/route-model.ts'
import { isSameIssuer, issuerOf, personKey } from './lib/person.ts'
import { FOREVER } from './lib/time.ts'
import type { PersonView } from './operator.ts'
import { type Cell, reviewDocument } from './pages/render.ts'
import { asksForSignIn } from './policy/demand.ts'
import { type Access, createReview, describeAccess } from './policy/access.ts'
import { createMembership } from './policy/membership.ts'
import type { Principal } from './policy/model.ts'
import { servicePrincipal } from './policy/service-principal.ts'
import type { ServiceToken } from './tokens/model.ts'
import { isForRoute } from './tokens/scope.ts'
import type { Identity, Subject, WallTime } from './types.ts'

export interface Reviewed {
  readonly who: Principal
  /** Names of the identity providers that they may come from: those of their issuer. */
  readonly providers: readonly string[]
  /** The address, or the subject; of a program with the id of its token. */
  readonly name: string
  /** What a service token is for; absent: a person. */
  readonly scope?: Pick<ServiceToken, 'routes' | 'methods'>
}

/** Programs that have a service token. */
export function reviewedPrograms(tokens: readonly ServiceToken[]): readonly Reviewed[] {
  return tokens.map((token) => {
    const who = servicePrincipal(token)
    return { who, providers: [], name: `${who.identity.subject} (${token.id})`, scope: token }
  })
}

/** Everybody that the store knows, and everybody who is written into the configuration. */
export async function reviewedPeople(
  config: Config,
  everybody: AsyncIterable<PersonView>,
  now: WallTime,
): Promise<readonly Reviewed[]> {
  const found = new Map<string, Reviewed>()
  for await (const { person, subject, email, identity, record } of everybody) {
    const known = identity ?? identityOf(issuerOf(person), subject, email)
    const status =
      record && (record.status === 'inactive' || record.membership !== 'unknown') ? record.status : 'unknown'
    const who = { ...principalOf(known), person, membership: record?.membership ?? 'unknown', status } as const
    found.set(person, { who, providers: providersOf(config, known), name: known.email ?? subject })
  }
  const written = config.fixed.idps.flatMap(({ issuer, directory }) =>
    (directory.people ?? []).map((each) => ({ issuer, ...each })),
  )
  for (const { issuer, id, status = 'active', groups } of written) {
    const identity = identityOf(issuer, id, undefined)
    const person = personKey(identity)
    if (found.has(person)) continue
    const membership = createMembership(
      groups.map((name) => ({ id: name, name, type: 'CLAIM' })),
      now,
      'static',
    )
    const who = { ...principalOf(identity), membership, status } as const
    found.set(person, { who, providers: providersOf(config, identity), name: id })
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function providersOf({ fixed: { idps } }: Config, { issuer }: Identity): readonly string[] {
  return idps.filter((idp) => isSameIssuer(idp.issuer, issuer)).map(({ name }) => name)
}

/** As they would come to a route: with a provider that counts there, if theirs can be one. */
function asOn({ demand }: Route, { who, providers }: Reviewed): Principal {
  const provider = demand?.providers?.find((name) => providers.includes(name)) ?? providers[0]
  return provider === undefined ? who : { ...who, kind: 'session', sessionId: REVIEW, provider }
}

/** No session has this id. */
const REVIEW = 'access-review'

function identityOf(issuer: string, subject: Subject, email: string | undefined): Identity {
  return { issuer, subject, ...(email !== undefined && { email }), claims: { sub: subject } }
}

function principalOf(identity: Identity): Principal {
  return {
    kind: 'session',
    person: personKey(identity),
    identity,
    signedInAt: FOREVER,
    sessionId: REVIEW,
    provider: '',
    expiresAt: FOREVER,
    membership: 'unknown',
    status: 'unknown',
  }
}

/** What the policy says, as far as a service token is for the route. */
function createScopedReview(): (route: Route, reviewed: Reviewed) => Access {
  const accessOf = createReview()
  return (route, reviewed) => {
    const access = accessOf(route, asOn(route, reviewed))
    const { scope } = reviewed
    if (!scope || route.policy.kind === 'public') return access
    if (!route.serviceTokens || asksForSignIn(route.demand) || !isForRoute(scope, route)) return { kind: 'no' }
    return access.kind === 'yes' && scope.methods.length > 0 ? { kind: 'conditions' } : access
  }
}

/** One person and one route that is not simply a no. */
export interface AccessLine {
  readonly name: string
  readonly subject: string
  readonly route: Route
  readonly access: Exclude<Cell, 'no'>
  /** The rules that let the person in. */
  readonly by: string
}

/** Who can open what, person by person, without those who cannot. */
export function* review(people: readonly Reviewed[], routes: readonly Route[]): Generator<AccessLine> {
  const accessOf = createScopedReview()
  for (const one of people) {
    const { who: anywhere, name } = one
    for (const route of routes) {
      const { kind } = accessOf(route, one)
      if (kind === 'no') continue
      yield {
        name,
        subject: anywhere.identity.subject,
        route,
        access: kind,
        by: describeAccess(route, asOn(route, one)),
      }
    }
  }
}

/** How many people can open each route. */
export function countAccess(
  people: readonly Reviewed[],
  routes: readonly Route[],
): readonly { readonly route: Route; readonly counts: Readonly<Record<Cell, number>> }[] {
  const accessOf = createScopedReview()
  return routes.map((route) => {
    const counts = { yes: 0, no: 0, conditions: 0, unknown: 0 }
    for (const one of people) counts[accessOf(route, one).kind]++
    return { route, counts }
  })
}

/** One self-contained page with a matrix. */
export function reviewPage(people: readonly Reviewed[], routes: readonly Route[], at: string): string {
  const accessOf = createScopedReview()
  const rows = new Map<string, { readonly people: string[]; readonly cells: readonly Cell[] }>()
  for (const one of people) {
    const { name } = one
    const cells = routes.map((route) => accessOf(route, one).kind)
    const key = cells.join(' ')
    const row = rows.get(key)
    if (row) row.people.push(name)
    else rows.set(key, { people: [name], cells })
  }
  return reviewDocument({
    title: 'Access review',
    at,
    routes: routes.map((route) => ({ name: route.name, policy: policyOf(route) })),
    rows: [...rows.values()].toSorted((a, b) => b.people.length - a.people.length),
  })
}

/** The rules of a route in one line. */
export function policyOf({ policy }: Route): string {
  if (policy.kind === 'public') return 'everybody, without sign-in'
  if (policy.kind === 'signed-in') return 'everybody who is signed in'
  return (['allow', 'deny'] as const)
    .flatMap((action) =>
      policy[action].map(
        ({ op, criteria }) => `${action} ${op}(${criteria.map(({ describe }) => describe).join(', ')})`,
      ),
    )
    .join('; ')
}
