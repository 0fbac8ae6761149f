import { assertNever } from '../errors.ts'
import type { Forward, PathRewrite, Route } from '../config/route-model.ts'
import type { RequestFacts } from '../http/request.ts'
import { defaultPort, parseHost } from './host.ts'
import { originFor } from './table.ts'

/** The request as the upstream got it. */
export interface Sent {
  /** Scheme, host and port of the upstream. */
  readonly origin: string
  /** With the query. */
  readonly path: string
  /** undefined: that of `origin`. */
  readonly host: string | undefined
}

type Asked = Pick<RequestFacts, 'host' | 'port' | 'path' | 'query'>
type Scheme = 'http' | 'https'
type PrefixRewrite = Extract<PathRewrite, { kind: 'prefix' }>

/** What readers take in different ways is left alone: a backslash, blanks, controls. */
const PLAIN = /^[\x21-\x5b\x5d-\x7e\x80-\xff]*$/

/**
 * `Location` and `Content-Location` as the client can use them: an address of the upstream itself becomes one of the
 * route, and a path below the rewritten prefix one below the matched prefix. Everything else is the application's word
 * and stays as it is, to the byte.
 */
export function publicLocation(
  value: string,
  { from, action }: Pick<Route<Forward>, 'from' | 'action'>,
  asked: Asked,
  sent: Sent,
): string {
  if (!PLAIN.test(value)) return value
  const { path: rewrite } = action.rewrite
  const [, named, authority = '', rest] = /^(?:(https?):)?\/\/([^/?#]*)(.*)$/i.exec(value) ?? []
  if (rest === undefined) return rewrite ? publicReference(value, rewrite, asked, sent) : value

  const scheme = named === undefined ? schemeOf(sent.origin) : schemeOf(`${named.toLowerCase()}:`)
  const host = parseHost(authority)
  if (!host) return value
  const path = (rewrite && publicPath(rest.startsWith('/') ? rest : `/${rest}`, rewrite, asked, sent)) ?? rest
  // An address that people use already: whether it names a port is the application's choice.
  if (isPublic(scheme, host, from, asked)) return value.slice(0, value.length - rest.length) + path
  if (!isUpstream(scheme, host, from, asked, sent)) return value
  // An application that insists on https would never let go.
  const loop = scheme === 'https' && from.scheme === 'http' && path === asked.path + asked.query
  return loop ? value : originFor(from, asked.host) + path
}

interface Host {
  readonly host: string
  readonly port: number | undefined
}

function isPublic(scheme: Scheme, { host, port }: Host, from: Route['from'], asked: Asked): boolean {
  const fallback = defaultPort(scheme)
  const used = [from.port, asked.port].map((known) => known ?? fallback)
  return scheme === from.scheme && host === asked.host && used.includes(port ?? fallback)
}

/** Does it name the upstream: its address, the Host that it was told, or the public host with what the upstream knows of its own? */
function isUpstream(
  scheme: Scheme,
  { host, port }: Host,
  from: Route['from'],
  asked: Asked,
  { origin, host: told }: Sent,
): boolean {
  const upstream = parseHost(origin.replace(/^[^/]*\/\//, ''))
  const upstreamPort = upstream?.port ?? defaultPort(schemeOf(origin))
  if ((port ?? defaultPort(scheme)) === upstreamPort && (host === upstream?.host || host === asked.host)) return true
  if (host === asked.host) return scheme !== from.scheme && scheme === schemeOf(origin)
  const name = parseHost(told ?? '')
  return host === name?.host && (port === undefined || port === name.port || port === upstreamPort)
}

/** A reference without a host, which the client would resolve against a path that the upstream never saw. */
function publicReference(value: string, rewrite: PathRewrite, asked: Asked, sent: Sent): string {
  if (/^(?:$|[?#]|[a-z][a-z0-9+.-]*:)/i.test(value)) return value
  const path = value.startsWith('/') ? value : resolved(value, sent.path)
  return (path === undefined ? undefined : publicPath(path, rewrite, asked, sent)) ?? value
}

function resolved(value: string, against: string): string | undefined {
  const base = 'http://upstream.invalid'
  const url = URL.canParse(value, base + against) ? new URL(value, base + against) : undefined
  return url?.origin === base ? url.pathname + url.search + url.hash : undefined
}

/** What is to be asked for a path of the upstream, with query and fragment; undefined: nothing can be, or it is public already. */
function publicPath(path: string, rewrite: PathRewrite, asked: Asked, sent: Sent): string | undefined {
  const [, bare = '', rest = ''] = /^([^?#]*)(.*)$/.exec(path) ?? []
  const [sentPath = ''] = sent.path.split('?', 1)
  const located = bare === sentPath ? asked.path : unrewritten(bare, sentPath, rewrite)
  // A second slash would make a host of the first segment.
  if (located === undefined || located.startsWith('//')) return undefined
  const [same] = (located + rest).split('#', 1)
  return bare !== sentPath && same === asked.path + asked.query ? undefined : located + rest
}

function unrewritten(path: string, sentPath: string, rewrite: PathRewrite): string | undefined {
  switch (rewrite.kind) {
    case 'whole':
    case 'regex':
      return undefined
    case 'prefix':
      // An application that reads X-Forwarded-Prefix has put it there itself.
      if (isBelow(path, rewrite.prefix) && !isBelow(sentPath, rewrite.prefix)) return undefined
      return rewrite.boundary ? split(path, rewrite) : cut(path, rewrite)
    default:
      return assertNever(rewrite)
  }
}

function split(path: string, { prefix, to }: PrefixRewrite): string | undefined {
  if (!isBelow(path, to)) return undefined
  const rest = path.slice(withoutSlash(to).length)
  return rest === '' ? prefix : withoutSlash(prefix) + rest
}

/** With `compatibility: pomerium`. */
function cut(path: string, { prefix, to }: PrefixRewrite): string | undefined {
  if (!path.startsWith(to)) return undefined
  const rest = path.slice(to.length)
  // The slash that the rewrite took out.
  return to.endsWith('/') && !prefix.endsWith('/') ? `${prefix}/${rest}` : prefix + rest
}

/** At the path or below it, on a segment boundary. */
function isBelow(path: string, prefix: string): boolean {
  const base = withoutSlash(prefix)
  return path.startsWith(base) && (path.length === base.length || path.charCodeAt(base.length) === 0x2f)
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

function schemeOf(url: string): Scheme {
  // `https+unix` is one, too.
  return url.startsWith('https') ? 'https' : 'http'
}
