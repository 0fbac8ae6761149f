import { parseHost } from '../../routing/host.ts'
import { isCanonicalPrefix } from '../../routing/path.ts'
import type { Upstream } from '../route-model.ts'
import type { Path, Report } from '../issues.ts'
import { schemeHint } from './urls.ts'

const SCHEMES: ReadonlySet<string> = new Set(['http', 'https', 'h2c', 'unix', 'http+unix', 'https+unix'])
/** `sun_path` of Linux, without its zero byte. */
const MAX_SOCKET_PATH = 107

export interface Target {
  readonly upstreams: readonly [Upstream, ...Upstream[]]
  /** The path that all addresses share, as it is written: `''` and `/` differ. */
  readonly path: string
}

/** The addresses of `to`. Plain http is fine here: it is the inner network. */
export function compileUpstreams(to: string | readonly string[], path: Path, report: Report): Target | undefined {
  const texts = typeof to === 'string' ? [to] : to
  const at = (i: number): Path => (typeof to === 'string' ? path : [...path, i])
  const parsed = texts.map((text, i) => parseUpstream(text, at(i), report))
  const targets = parsed.filter((target) => target !== undefined)
  if (targets.length < texts.length) return undefined
  const [first, ...others] = targets
  if (!first) return undefined

  const weighted = targets.filter(({ weight }) => weight !== undefined).length
  if (weighted > 0 && weighted < targets.length) {
    report.error(path, 'expected a weight behind every address, or behind none')
    return undefined
  }
  const different = targets.findIndex((target) => target.path !== first.path)
  if (different > 0) {
    report.error(at(different), `expected the same path in every address, ${first.path || 'none'}`)
    return undefined
  }
  const upstream = ({ origin, weight = 1 }: typeof first): Upstream => ({ origin, weight })
  return { upstreams: [upstream(first), ...others.map(upstream)], path: first.path }
}

function parseUpstream(
  text: string,
  path: Path,
  report: Report,
): { readonly origin: string; readonly path: string; readonly weight: number | undefined } | undefined {
  const [, address = '', digits] = /^([^,]*)(?:,(.*))?$/s.exec(text.trim()) ?? []
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1]?.toLowerCase()
  const problem = (message: string): undefined => {
    report.error(path, message)
  }
  if (scheme === undefined || !URL.canParse(address))
    return problem(
      `expected a URL such as http://app:8080, found ${JSON.stringify(text)}${schemeHint(address, 'http')}`,
    )
  if (!SCHEMES.has(scheme))
    return problem(`the scheme "${scheme}" is not supported; expected ${[...SCHEMES].join(', ')}`)
  const weight = digits === undefined ? undefined : Number(digits)
  if (weight !== undefined && !(Number.isSafeInteger(weight) && weight >= 1 && /^\d+$/.test(digits ?? ''))) {
    return problem(`expected a weight of at least 1 behind the comma, found ${JSON.stringify(digits)}`)
  }
  if (scheme.endsWith('unix')) {
    const socket = address.slice(scheme.length + 3)
    if (!/^\/[^?#\0]+$/.test(socket)) return problem(`expected the path of a socket, such as ${scheme}:///run/app.sock`)
    if (Buffer.byteLength(socket) > MAX_SOCKET_PATH)
      return problem(`expected a path of at most ${MAX_SOCKET_PATH} bytes, which is all that a socket may have`)
    return { origin: `${scheme.replace('http+', '')}://${socket}`, path: '', weight }
  }
  // The parser keeps schemes that it does not know as they are.
  const url = new URL(scheme === 'h2c' ? address.replace(/^h2c/i, 'http') : address)
  if (url.username || url.password || url.search || url.hash || !parseHost(url.host)) {
    return problem(`expected scheme, host, port and perhaps a path only${schemeHint(address, 'http')}`)
  }
  if (!isCanonicalPrefix(url.pathname)) return problem(`expected a plain path, found ${JSON.stringify(url.pathname)}`)
  const written = address.indexOf('/', scheme.length + 3) === -1 ? '' : url.pathname
  return { origin: scheme === 'h2c' ? url.origin.replace('http', 'h2c') : url.origin, path: written, weight }
}
