/**
 * Forward-auth: another proxy asks whether a request that it holds may pass (nginx `auth_request`, Traefik `forwardAuth`,
 * Caddy `forward_auth`, Envoy `ext_authz`). `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri` describe the request. It is
 * parsed and judged as if it had come here, and 2xx means yes.
 */
import type { Generation } from '../http/exchange.ts'
import { headerLines } from '../http/header-lines.ts'
import type { RequestFacts, RequestHead } from '../http/request.ts'
import { HOP_BY_HOP } from '../lib/header-names.ts'
import type { RouteMatch } from '../routing/model.ts'

interface ForwardAuthRequest {
  /** The request that the proxy holds. */
  readonly head: RequestHead
  /** nginx knows 2xx, 401 and 403 alone: with `unauthenticated=401` nobody is redirected to the sign-in. */
  readonly redirects: boolean
  /** `authorization=removed`: the application does not get the request's `Authorization`, and so no token of ours. */
  readonly removesAuthorization: boolean
}

/** What a proxy asks about, parsed and matched. */
export interface Question extends ForwardAuthRequest {
  readonly asked: RequestFacts
  readonly match: RouteMatch
}

/** Why a question is not answered. */
interface Refused {
  readonly status: 400 | 403
  readonly detail: string
}

/** @param received the question itself, as it came. */
export function parseQuestion(
  head: RequestHead,
  received: RequestFacts,
  { live, parse, routes }: Generation,
): Question | Refused {
  if (!received.hop || live.trustedProxies.length === 0) {
    return { status: 403, detail: 'forward-auth is for proxies that trusted_proxies names' }
  }
  const question = forwardAuthRequest(head, `${live.naming.controlPrefix}/forward-auth`)
  if (typeof question === 'string') return { status: 400, detail: question }
  const asked = parse(question.head)
  if ('kind' in asked) return { status: 400, detail: `the request that was asked about: ${asked.detail}` }
  const match = routes.match(asked)
  const { path } = (match.kind === 'route' && match.asked) || asked
  if (!isForwardedAsJudged(question.head.target, path)) {
    return { status: 400, detail: 'the request that was asked about: its path can be read in more than one way' }
  }
  return { ...question, asked, match }
}

/** Each exactly once. */
const DESCRIBED_BY: ReadonlySet<string> = new Set([
  'x-forwarded-method',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-uri',
])
/** Other names for the address and the method. They need not be there; what they say must be the same. */
const ADDRESS_TOO: ReadonlySet<string> = new Set(['x-original-url', 'x-original-uri', 'x-rewrite-url'])
const METHOD_TOO = 'x-original-method'
/** As routing/trust.ts reads them. */
const SCHEMES: ReadonlySet<string> = new Set(['http', 'https', 'ws', 'wss'])
/** Of the question, in any order. */
const PARAMETERS: ReadonlySet<string> = new Set(['unauthenticated=302', 'unauthenticated=401', 'authorization=removed'])

/**
 * The request that a proxy asks about; a text says what is wrong with the question.
 * @param base path of the endpoint.
 */
function forwardAuthRequest(question: RequestHead, base: string): ForwardAuthRequest | string {
  const said = new Map<string, string>()
  const list: string[] = []
  let upgrade = false
  const { headers } = question
  for (let i = 0; i < headers.count; i++) {
    const name = headers.name(i).lower
    const value = headers.value(i)
    if (DESCRIBED_BY.has(name) || ADDRESS_TOO.has(name) || name === METHOD_TOO) {
      if (said.has(name)) return `more than one ${name}`
      said.set(name, value)
      if (name !== 'x-forwarded-proto') continue
    }
    // Proxies keep `Upgrade` to themselves when they ask; every WebSocket has this one, too (RFC 6455 §4.1).
    if (name === 'sec-websocket-key') upgrade = true
    if (!isOfQuestion(name)) list.push(name, value)
  }
  for (const name of DESCRIBED_BY) if (!said.get(name)) return `no ${name}`
  const [method = '', scheme = '', host = '', target = ''] = [...DESCRIBED_BY].map((name) => said.get(name))
  if (!SCHEMES.has(scheme.toLowerCase())) return 'x-forwarded-proto is not http or https'
  // An absolute address, or `*`, is another form of request (RFC 9112 §3.2).
  if (!target.startsWith('/')) return 'x-forwarded-uri does not begin with a slash'
  for (const name of ADDRESS_TOO) {
    const address = said.get(name)
    if (address !== undefined && address !== target && address !== `${scheme}://${host}${target}`)
      return `${name} and x-forwarded-uri differ`
  }
  if ((said.get(METHOD_TOO) ?? method) !== method) return `${METHOD_TOO} and x-forwarded-method differ`

  const rest = question.target.startsWith(base) ? question.target.slice(base.length) : undefined
  // Envoy appends the whole address, Caddy the query.
  const repeated = rest === target || (rest !== undefined && rest !== '' && rest === target.slice(target.indexOf('?')))
  const parameters = parametersOf(rest) ?? (repeated ? new Set<string>() : undefined)
  if (!parameters) return 'what follows the path of this endpoint is neither x-forwarded-uri nor known'
  list.push('host', host)
  const { connection } = question
  return {
    head: {
      ...question,
      method,
      target,
      headers: headerLines(list),
      upgrade,
      // What the proxy shows for itself; nobody knows what its client has shown.
      connection: connection && { ...connection, certificate: undefined },
    },
    redirects: !parameters.has('unauthenticated=401'),
    removesAuthorization: parameters.has('authorization=removed'),
  }
}

/** undefined: it is not what a proxy is told to ask. */
function parametersOf(rest: string | undefined): ReadonlySet<string> | undefined {
  if (rest === '') return new Set()
  if (rest?.[0] !== '?') return undefined
  const parameters = rest.slice(1).split('&')
  const names = new Set(parameters.map((parameter) => parameter.split('=', 1)[0]))
  return names.size === parameters.length && parameters.every((one) => PARAMETERS.has(one))
    ? new Set(parameters)
    : undefined
}

/**
 * Does the address read as it was judged? The proxy forwards it as it came, with the dot segments and doubled slashes that
 * are gone from `path`. Escapes in lower case are the same to everybody (RFC 3986 §6.2.2.1).
 */
function isForwardedAsJudged(target: string, path: string): boolean {
  const [asked = ''] = target.split('?', 1)
  return asked === path || asked.replaceAll(/%[0-9a-f]{2}/gi, (escape) => escape.toUpperCase()) === path
}

/** Of the connection and the body of the question; the request has its own. */
function isOfQuestion(name: string): boolean {
  return HOP_BY_HOP.has(name) || name === 'host' || name === 'content-length' || name === 'expect'
}
