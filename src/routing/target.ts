/**
 * The only reader of the request line, of Host and of the headers that say who asks and from where. What two readers could
 * understand differently is refused here, before anything is matched, judged or forwarded: paths in other spellings, two
 * hosts, two addresses. Framing was judged when the head was cut (wire/request-head.ts, server/h2-head.ts).
 */
import { askedFor } from '../http/asked.ts'
import { METHODS } from 'node:http'
import type { HeaderLines } from '../http/header-lines.ts'
import type { BadRequest, RequestFacts, RequestHead } from '../http/request.ts'
import type { Live } from '../config/model.ts'
import { canonicalAddress } from './address.ts'
import { isRequestId } from '../lib/request-id.ts'
import { RequestHeaders } from './header-view.ts'
import { defaultPort, parseHost } from './host.ts'
import { canonicalPath, readPath } from './path.ts'
import { type CompiledTrust, clientOf } from './trust.ts'

export { type CompiledTrust, compileTrust } from './trust.ts'

const NONE: ReadonlySet<string> = new Set()
/** The limits of the configuration; the codecs have limits of their own. */
export type HeadLimits = Pick<Live, 'maxHeaders' | 'maxHeaderBytes' | 'maxUrlLength'>

const NO_LIMITS: HeadLimits = {
  maxHeaders: Number.POSITIVE_INFINITY,
  maxHeaderBytes: Number.POSITIVE_INFINITY,
  maxUrlLength: Number.POSITIVE_INFINITY,
}
/**
 * All that Node's parser knows: Subversion, CalDAV and caches have methods of their own, and policies say which are allowed.
 * CONNECT would open a tunnel to anywhere; TRACE returns the request with its cookies (RFC 9110 §9.3.8).
 */
export const ALLOWED_METHODS: ReadonlySet<string> = new Set(
  METHODS.filter((method) => method !== 'CONNECT' && method !== 'TRACE'),
)
/** A host that no route has. */
const NO_HOST = { host: '', port: undefined } as const

/**
 * The facts of a request, or why it is refused. Total: it throws for no input.
 * @param ownId the request's id, unless a trusted hop has given it one.
 * @param identity normal names of the headers that say who is signed in: no rule sees what a client sends under them.
 */
export function parseTarget(
  raw: RequestHead,
  trust: CompiledTrust,
  ownId: string,
  identity: ReadonlySet<string> = NONE,
  limits: HeadLimits = NO_LIMITS,
): RequestFacts | BadRequest {
  const peer = canonicalAddress(raw.peer ?? '')
  let clientIp = peer ?? ''
  let id = ownId
  let headers: Headers | string | undefined
  const refuse = (status: BadRequest['status'], detail: string): BadRequest => {
    const read = typeof headers === 'object' ? headers : undefined
    const asked = askedFor(raw.method, raw.target, raw.headers.first('host'))
    return {
      kind: 'bad-request',
      id,
      status,
      detail,
      clientIp,
      asked,
      wants: read && isNavigation(read) ? 'html' : 'json',
    }
  }
  if (peer === undefined) return refuse(400, 'the peer is gone')

  headers = readHeaders(raw.headers)
  if (typeof headers === 'string') return refuse(400, headers)
  if (raw.headers.count > limits.maxHeaders) return refuse(431, 'more header fields than max_headers')
  if (sizeOf(raw.headers) > limits.maxHeaderBytes) return refuse(431, 'larger header fields than max_header_bytes')
  const client = clientOf(peer, raw.encrypted, headers.forwardedFor, headers.forwardedProto, trust)
  clientIp = client.clientIp
  if (client.hop && headers.requestId !== undefined && isRequestId(headers.requestId)) id = headers.requestId
  const { scheme: clientScheme } = client
  if (clientScheme === undefined) return refuse(400, 'X-Forwarded-Proto of a trusted hop cannot be read')

  if (!ALLOWED_METHODS.has(raw.method)) return refuse(405, 'method not allowed')

  // HTTP/1.0 does not require a Host, and load balancers still probe without one.
  const nameless = headers.host === undefined && raw.httpVersion === '1.0'
  const host = nameless ? NO_HOST : headers.host === undefined ? undefined : parseHost(headers.host)
  if (!host) return refuse(400, headers.host === undefined ? 'missing Host' : 'invalid Host')

  let target = raw.target
  if (target.charCodeAt(0) !== 0x2f) {
    const absolute = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(target)
    if (!absolute) return refuse(400, 'invalid request target')
    const [, scheme = '', authority = '', rest = ''] = absolute
    const named = parseHost(authority)
    const samePort = (named?.port ?? defaultPort(clientScheme)) === (host.port ?? defaultPort(clientScheme))
    if (named?.host !== host.host || !samePort || scheme.toLowerCase() !== clientScheme) {
      return refuse(400, 'request target and Host differ')
    }
    target = rest.startsWith('/') ? rest : `/${rest}`
  }
  if (target.length > limits.maxUrlLength) return refuse(414, 'a longer path and query than max_url_length')
  const questionMark = target.indexOf('?')
  const asked = questionMark === -1 ? target : target.slice(0, questionMark)
  const canonical = canonicalPath(asked)
  const readings = canonical === asked ? undefined : readPath(asked)
  const path = readings ? readings.path : canonical
  if (path === undefined) return refuse(400, 'invalid path')
  const query = questionMark === -1 ? '' : target.slice(questionMark)
  if (!isPlain(query)) return refuse(400, 'invalid query')

  return {
    id,
    method: raw.method,
    host: host.host,
    port: host.port,
    path,
    readings,
    query,
    clientIp,
    hop: client.hop,
    clientCertificate: raw.connection?.certificate,
    scheme: clientScheme,
    wants: raw.upgrade ? 'upgrade' : isNavigation(headers) ? 'html' : 'json',
    upgradeTo: raw.upgradeTo,
    cookie: headers.cookie,
    authorization: headers.authorization,
    origin: headers.origin,
    userAgent: headers.userAgent,
    browser: isBrowser(headers),
    headers: new RequestHeaders(raw.headers, identity),
  }
}

/** Octets of all lines. */
function sizeOf(headers: HeaderLines): number {
  return headers.count === 0 ? 0 : headers.end(headers.count - 1) - headers.start(0)
}

/** What is read of the headers; a list header's lines are joined with a comma, as RFC 9110 §5.3 says. */
interface Headers {
  host: string | undefined
  authorization: string | undefined
  origin: string | undefined
  cookie: string
  userAgent: string
  accept: string
  fetchMode: string
  /** One of `Sec-Fetch-*`, whose values no page can choose (https://www.w3.org/TR/fetch-metadata/). */
  fetchMetadata: boolean
  requestedWith: boolean
  forwardedFor: string | undefined
  forwardedProto: string | undefined
  requestId: string | undefined
}

/** The headers, or what is wrong with them. */
function readHeaders(lines: HeaderLines): Headers | string {
  if (lines.problem !== undefined) return lines.problem
  const headers: Headers = {
    host: undefined,
    authorization: undefined,
    origin: undefined,
    cookie: '',
    userAgent: '',
    accept: '',
    fetchMode: '',
    fetchMetadata: false,
    requestedWith: false,
    forwardedFor: undefined,
    forwardedProto: undefined,
    requestId: undefined,
  }
  for (let i = 0; i < lines.count; i++) {
    const problem = readHeader(headers, lines, i)
    if (problem !== undefined) return problem
  }
  return headers
}

function readHeader(headers: Headers, lines: HeaderLines, index: number): string | undefined {
  switch (lines.name(index).kind) {
    case 'host':
      if (headers.host !== undefined) return 'more than one Host'
      headers.host = lines.value(index)
      return undefined
    case 'authorization':
      if (headers.authorization !== undefined) return 'more than one Authorization'
      headers.authorization = lines.value(index)
      return undefined
    case 'origin':
      if (headers.origin !== undefined) return 'more than one Origin'
      headers.origin = lines.value(index)
      return undefined
    case 'cookie':
      headers.cookie = joined(headers.cookie, lines.value(index), '; ')
      return undefined
    case 'user-agent':
      headers.userAgent = lines.value(index)
      return undefined
    case 'accept':
      headers.accept = joined(headers.accept, lines.value(index), ', ')
      return undefined
    case 'sec-fetch-mode':
      headers.fetchMode = joined(headers.fetchMode, lines.value(index), ', ')
      headers.fetchMetadata = true
      return undefined
    case 'sec-fetch-site':
    case 'sec-fetch-dest':
    case 'sec-fetch-user':
      headers.fetchMetadata = true
      return undefined
    case 'x-request-id':
      // Two of them count as none.
      headers.requestId = headers.requestId === undefined ? lines.value(index) : ''
      return undefined
    case 'x-requested-with':
      headers.requestedWith = true
      return undefined
    case 'x-forwarded-for':
      headers.forwardedFor = appended(headers.forwardedFor, lines.value(index))
      return undefined
    case 'x-forwarded-proto':
      headers.forwardedProto = appended(headers.forwardedProto, lines.value(index))
      return undefined
    case 'framing-like':
      return 'invalid header name'
    default:
      return undefined
  }
}

function joined(before: string, value: string, separator: string): string {
  return before === '' ? value : before + separator + value
}

/** Like `joined`, but an empty line is an entry, too: which entry counts depends on their number. */
function appended(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before},${value}`
}

/** Printable ASCII without `#`: a fragment is never sent, and readers differ on what looks like one. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return false
  }
  return true
}

const HTML = /(?:^|[,\s])(?:text\/html|application\/xhtml\+xml)(?:[;,\s]|$)/i
const LIGHT = /;\s*q\s*=\s*0/i

/**
 * Does a person look at the answer in a browser window? True for navigations and submitted forms, false for fetches and
 * scripts. Programs that take HTML only if there is nothing better give it a low weight (pip: `text/html; q=0.01`).
 */
function isNavigation({ fetchMode, requestedWith, accept }: Headers): boolean {
  if (requestedWith || (fetchMode !== '' && fetchMode !== 'navigate')) return false
  const comma = accept.indexOf(',')
  // Browsers begin with it, so most requests need no second look.
  if (isHtml(comma === -1 ? accept : accept.slice(0, comma))) return true
  return comma !== -1 && HTML.test(accept) && accept.split(',').some(isHtml)
}

function isHtml(range: string): boolean {
  return HTML.test(range) && !LIGHT.test(range)
}

/** On plain http, and before 2023, browsers send no fetch metadata; but all of them call themselves Mozilla. */
function isBrowser({ fetchMetadata, requestedWith, userAgent }: Headers): true | undefined {
  return fetchMetadata || requestedWith || userAgent.startsWith('Mozilla/') ? true : undefined
}
