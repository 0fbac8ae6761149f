/** A request that was never sent, judged as if it had been: by the same parser, table and judge as in the proxy. */
import { AppError, assertNever } from '../errors.ts'
import { FOREVER } from '../lib/time.ts'
import { parseAddress } from '../routing/address.ts'
import { createRouteTable, mismatch } from '../routing/table.ts'
import { compileTrust, parseTarget } from '../routing/target.ts'
import type { Config } from '../config/model.ts'
import type { Route } from '../config/route-model.ts'
import type { ControlAction, RouteMatch } from '../routing/model.ts'
import { headerLines, type HeaderLines } from '../http/header-lines.ts'
import type { ClientCertificate, RequestFacts, SubjectAltNames } from '../http/request.ts'
import { linesProblem } from '../wire/request-head.ts'
import type { WallTime } from '../types.ts'
import { describeDemand } from './demand.ts'
import { type ExplainedClause, explain, type Explanation } from './explain.ts'
import { judge, judgeShadow } from './judge.ts'
import type { Asker, Policy, Principal } from './model.ts'
import type { Grant } from './verdict.ts'

/** A request that was never sent. */
export interface Question {
  readonly method: string
  /** As a client would send it, without a fragment; `ws:` and `wss:` ask for a WebSocket. */
  readonly url: string
  /** The client's address. */
  readonly ip: string
  readonly who: Principal | undefined
  readonly now: WallTime
  /** More headers, names and values in turn. A WebSocket has the Origin of its own host unless they have one. */
  readonly headers?: readonly string[]
  /** A client certificate that is taken for valid; absent: none is shown. */
  readonly certificate?: Partial<Pick<ClientCertificate, 'fingerprint' | 'spkiHash'>> & {
    readonly names: Partial<SubjectAltNames>
  }
}

/** What Postern would do with it. */
export type Judgement =
  | {
      readonly kind: 'route'
      readonly route: Route
      readonly explanation: Explanation
      /** Under the route's `shadow_policy`. */
      readonly shadow?: Explanation
      /** The routes of the host that come first, and why they do not serve the request. */
      readonly earlier: readonly PassedOver[]
      /** Of an allowed request. */
      readonly grant: Grant | undefined
      readonly headers: HeaderLines
    }
  | { readonly kind: 'bad-request'; readonly status: number; readonly detail: string }
  | { readonly kind: 'control'; readonly action: ControlAction }
  | { readonly kind: 'not-found'; readonly earlier: readonly PassedOver[] }

/** A route of the host that does not serve the request. */
export interface PassedOver {
  readonly route: Route
  readonly why: string
}

/** Asks the same parser, table and judge as the proxy. The judge throws ERR_USAGE for what is no question. */
export function createJudge(config: Config): (question: Question) => Judgement {
  const routes = createRouteTable(config.fixed, config.live)
  const trust = compileTrust({ proxies: [], hops: 0 })
  return (question) => {
    try {
      return judged(question)
    } catch (error) {
      return toBadRequest(error)
    }
  }

  function judged({ method, url, ip, who, now, headers = [], certificate }: Question): Judgement {
    const [, scheme, authority = '', target = ''] = /^(https?|wss?):\/\/([^/?#]+)([^#]*)/.exec(url) ?? []
    const upgrade = scheme === 'ws' || scheme === 'wss'
    if (scheme === undefined)
      throw new AppError('ERR_USAGE', `expected a URL such as https://app.corp.example/, found ${JSON.stringify(url)}`)
    if (parseAddress(ip) === undefined)
      throw new AppError('ERR_USAGE', `expected an IP address, found ${JSON.stringify(ip)}`)
    const lines = headerLines([...withDefaults(headers, scheme, authority), ...headers])
    const wrong = linesProblem(lines)
    if (wrong) return { kind: 'bad-request', status: wrong.status, detail: wrong.problem }
    const facts = parseTarget(
      {
        method,
        target: target.startsWith('/') ? target : `/${target}`,
        headers: lines,
        httpVersion: '1.1',
        peer: ip,
        encrypted: scheme === 'https' || scheme === 'wss',
        ...(certificate && { connection: { certificate: shownCertificate(certificate, config) } }),
        upgrade,
      },
      trust,
      'command-line',
      config.live.identityHeaders,
    )
    if ('kind' in facts) return { kind: facts.kind, status: facts.status, detail: facts.detail }
    const match = routes.match(facts)
    const verdict = judge({ routes }, facts, askerOf(who, match), now, match)
    switch (verdict.outcome) {
      case 'not-found':
        return { kind: 'not-found', earlier: passedOver(config.live.routes, facts) }
      case 'control':
        return { kind: 'control', action: verdict.control.action }
      case 'bad-path':
        return { kind: 'bad-request', status: 400, detail: verdict.path.detail }
      default: {
        if (match.kind !== 'route') throw new TypeError('a decision without a route')
        const { route, asked: request = facts } = match
        const asked = { who, request, now }
        const explanation = explain(verdict, route.policy, asked)
        const judgement: Judgement = {
          kind: 'route',
          route,
          explanation,
          earlier: passedOver(config.live.routes.slice(0, config.live.routes.indexOf(route)), facts),
          grant: verdict.outcome === 'allow' ? verdict.grant : undefined,
          headers: lines,
        }
        if (!route.shadow) return judgement
        const shadow = judgeShadow({ routes }, { ...match, route: route.shadow }, facts, who, now)
        return { ...judgement, shadow: explain(shadow, route.shadow.policy, asked) }
      }
    }
  }
}

/** What a rule or a rewrite cannot read in one way is answered as what nobody can read. Throws any other error. */
export function toBadRequest(error: unknown): Judgement {
  if (!(error instanceof AppError) || error.code !== 'ERR_BAD_REQUEST') throw error
  return { kind: 'bad-request', status: error.info.status, detail: error.message }
}

/** Where nobody is asked for one it does not count, as in a configuration that has changed. */
function shownCertificate(
  { names, fingerprint = '', spkiHash = '' }: NonNullable<Question['certificate']>,
  { live }: Config,
): ClientCertificate {
  return {
    fingerprint,
    spkiHash,
    names: { dns: [], email: [], ipAddress: [], uri: [], userPrincipalName: [], ...names },
    notAfter: FOREVER,
    fault: undefined,
    checkedBy: live.downstreamMtls?.version ?? '',
  }
}

/** As the authenticator says it (tokens/authenticator.ts): a service token is nothing where none is taken. */
function askerOf(who: Principal | undefined, match: RouteMatch): Asker {
  if (who?.kind !== 'service' || match.kind !== 'route' || match.route.serviceTokens) return who
  return { kind: 'bad-token', error: 'insufficient_scope', detail: 'no service token is taken here' }
}

/** What a browser sends, unless the question has it. */
function withDefaults(headers: readonly string[], scheme: string, authority: string): readonly string[] {
  const given = new Set(headers.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()))
  return [
    ['Host', authority],
    ['Accept', 'text/html'],
    ...(scheme.startsWith('ws') ? [['Origin', `${scheme.replace('ws', 'http')}://${authority}`]] : []),
  ].flatMap(([name = '', value = '']) => (given.has(name.toLowerCase()) ? [] : [name, value]))
}

function passedOver(routes: readonly Route[], facts: RequestFacts): readonly PassedOver[] {
  return routes.flatMap((route) => {
    const why = mismatch(route, facts)
    return why === undefined || why === 'host' ? [] : [{ route, why }]
  })
}

/** One word: the decision, or why there was none to take. */
export function outcomeOf(judgement: Judgement): Explanation['outcome'] | 'bad-request' | 'control' | 'not-found' {
  return judgement.kind === 'route' ? judgement.explanation.outcome : judgement.kind
}

/** Why; empty when there was no decision. */
export function reasonsOf(judgement: Judgement): readonly string[] {
  return judgement.kind === 'route' ? judgement.explanation.reasons : []
}

/** Every clause and criterion with its value, one a line. */
export function describeExplanation({ policy, demand }: Route, explanation: Explanation): readonly string[] {
  return [...describePolicy(policy, explanation), ...(demand ? describeDemand(demand).map(asDemand) : [])]
}

/** How somebody signed in is asked after the policy has let them pass. */
function asDemand(text: string): string {
  return `${''.padEnd(VALUE_WIDTH)}and ${text}`
}

function describePolicy(policy: Policy, { allow, deny }: Explanation): readonly string[] {
  switch (policy.kind) {
    case 'public':
      return ['everybody, without sign-in']
    case 'signed-in':
      return ['everybody who is signed in']
    case 'rules':
      return [
        ...(allow.length === 0 ? ['no rule allows anybody'] : []),
        ...allow.flatMap((clause) => describeClause('allow', clause)),
        ...deny.flatMap((clause) => describeClause('deny', clause)),
      ]
    default:
      return assertNever(policy)
  }
}

const OPERATORS = { and: 'all of', or: 'any of', not: 'none of', nor: 'not all of' } as const
const VALUE_WIDTH = 9

function describeClause(action: string, { op, value, criteria }: ExplainedClause): readonly string[] {
  return [
    `${value.padEnd(VALUE_WIDTH)}${action} if ${OPERATORS[op]}`,
    ...criteria.map((criterion) => `${criterion.value.padEnd(VALUE_WIDTH)}  ${criterion.describe}`),
  ]
}
