import { assertNever } from '../../errors.ts'
import { sha256 } from '../../lib/crypto.ts'
import { identityHeaders } from '../../lib/header-names.ts'
import { shared } from '../../lib/shared.ts'
import { parseFrom } from '../../routing/host.ts'
import { canonicalPath, readPath } from '../../routing/path.ts'
import { KEEP_ESCAPED_SLASHES } from '../../routing/readings.ts'
import { compileRegex } from '../../routing/regex.ts'
import { isReserved } from '../../routing/table.ts'
import type { Live } from '../model.ts'
import type { Conditions, PathMatch, PathReading, Route, RouteFrom } from '../route-model.ts'
import type { Path, Report } from '../issues.ts'
import type { RouteInput } from '../schema/route.ts'
import type { Draft } from '../validate.ts'
import { compileRoutePolicy, compileShadowPolicy } from './access.ts'
import { compileAction } from './action.ts'
import type { RouteDefaults, RouteIdentity } from './forward.ts'
import { compileBearer } from './bearer.ts'
import { compileConditions } from './conditions.ts'
import { compileClaimHeaders, personHeaders } from './identity.ts'
import { compileDemand } from './demand.ts'
import { warnOfCertificateRules } from './downstream-mtls.ts'
import { compilePathReading } from './paths.ts'
import { compileRouteProviders, refuseAmbiguousUsers } from './providers.ts'
import { compileRateLimit } from './rate-limit.ts'
import { compileResponseHeaders, mergeResponseHeaders } from './response-headers.ts'
import { warnOfServiceTokens } from './service-tokens.ts'
import { reportLeftovers, reportShadows } from './shadows.ts'
import { reportLoops } from './loops.ts'
import { warnOfPlainHttp } from './traps.ts'
import { behindHop, checkScheme, schemeHint } from './urls.ts'

/** Routes in order; what is wrong with one is reported, and it is left out. */
export function compileRoutes(
  draft: Draft,
  defaults: RouteDefaults,
  report: Report,
): Pick<Live, 'routes' | 'identityHeaders'> {
  const { naming, claimHeaders } = defaults.identity
  // Of all routes first: what one of them tells, no client may tell another.
  const claims = draft.routes.map(({ path, input: { jwt_claims_headers: written } }) =>
    written === undefined
      ? claimHeaders
      : compileClaimHeaders(written, [...path, 'jwt_claims_headers'], naming, report),
  )
  const all = identityHeaders(naming, [
    ...[claimHeaders, ...claims].flatMap((each) => [...each.keys()]),
    ...draft.routes.flatMap(({ input }) => personHeaders(input)),
  ])
  const routes: Route[] = []
  const paths: Path[] = []
  for (const [i, { path, input, whole }] of draft.routes.entries()) {
    const route = compileRoute(input, path, { claimHeaders: claims[i] ?? claimHeaders, all }, defaults, report)
    const shadow = compileShadowPolicy(input, path, defaults.policies, report)
    if (!route || !whole) continue
    routes.push(shadow ? { ...route, shadow: { ...route, policy: shadow } } : route)
    paths.push(path)
  }
  reportShadows(routes, paths, report)
  reportLeftovers(routes, paths, report)
  reportLoops(routes, paths, report)
  return { routes, identityHeaders: all }
}

function compileRoute(
  input: RouteInput,
  path: Path,
  headers: RouteIdentity,
  defaults: RouteDefaults,
  report: Report,
): Route | undefined {
  const from = compileFrom(input, path, defaults, report)
  const paths = compilePathReading(input, defaults.paths)
  const match = compileMatch(input, path, paths, defaults, report)
  const conditions = compileConditions(input, path, headers.all, report)
  const policy = compileRoutePolicy(input, path, defaults.policies, report)
  const bearer = compileBearer(input, policy, path, defaults.tokens, report)
  const action = compileAction(input, { from, match, conditions, policy }, headers, path, defaults, report)
  const { toldAtSignIn, providers } = compileRouteProviders(input, path, defaults.providers, report)
  refuseAmbiguousUsers(policy, providers, defaults.providers, path, report)
  if (input.max_directory_age === 0) {
    report.error([...path, 'max_directory_age'], 'expected a duration above 0')
  }
  const { downstreamMtls: mtls } = defaults
  const rateLimit = compileRateLimit(input.rate_limit)
  warnOfCertificateRules(policy, mtls, path, report)
  if (input.certificate_accounts !== undefined && !mtls) {
    report.error(
      [...path, 'certificate_accounts'],
      'nobody is asked for a certificate; write `downstream_mtls: {ca: …}`',
    )
  }
  const logoUrl = input.logo_url === undefined ? undefined : compileLogo(input.logo_url, [...path, 'logo_url'], report)
  const demand = compileDemand(input, providers, policy, path, report)
  const { set_response_headers: written } = input
  const responseHeaders = mergeResponseHeaders(
    defaults.responseHeaders,
    written && compileResponseHeaders(written, [...path, 'set_response_headers'], report),
  )
  warnOfServiceTokens(input, { policy, bearer, demand }, path, report)
  if (!from || !match || !action || !policy) return undefined
  warnOfPlainHttp(from, policy, path, report)

  const host = from.port === undefined ? from.host : `${from.host}:${from.port}`
  const destination = action.kind === 'forward' ? [action.upstreams, action.rewrite.path] : [action]
  return {
    id: sha256(JSON.stringify([from, match, conditions, ...destination])).slice(0, 16),
    name: input.name ?? describeRoute(host, match, conditions),
    ...(input.description !== undefined && { description: input.description }),
    ...(logoUrl !== undefined && { logoUrl }),
    portal: input.show_in_portal ?? action.kind === 'forward',
    from,
    match,
    ...(conditions && { conditions }),
    policy,
    ...(toldAtSignIn && { toldAtSignIn }),
    ...(input.max_directory_age !== undefined && { maxDirectoryAge: input.max_directory_age }),
    ...(demand && { demand }),
    ...responseHeaders,
    ...(input.service_tokens && { serviceTokens: true }),
    ...(input.certificate_accounts && { certificateAccounts: input.certificate_accounts }),
    ...(paths && { paths }),
    keepFragment: input.keep_fragment,
    ...(!(input.show_error_details ?? defaults.showErrorDetails) && { hidesDetails: true }),
    ...(bearer && { bearer }),
    ...(input.max_request_body !== undefined && { maxRequestBody: input.max_request_body }),
    ...(rateLimit && { rateLimit }),
    ...(mtls && { mtls: { version: mtls.version, required: mtls.enforcement !== 'policy' } }),
    action,
    definedAt: report.where(path),
  }
}

function compileFrom(
  input: RouteInput,
  path: Path,
  { allowHttp, froms }: RouteDefaults,
  report: Report,
): RouteFrom | undefined {
  const from = shared(froms, input.from, () => parseFrom(input.from))
  if ('problem' in from) {
    report.error([...path, 'from'], from.problem + schemeHint(input.from, 'https'))
    return undefined
  }
  return checkScheme(from.scheme, from.host, behindHop(allowHttp), [...path, 'from'], report) ? from : undefined
}

function compileMatch(
  input: RouteInput,
  path: Path,
  paths: PathReading | undefined,
  { compatibility, naming }: RouteDefaults,
  report: Report,
): PathMatch | undefined {
  const written = (['prefix', 'path', 'regex'] as const).filter((key) => input[key] !== undefined)
  const [kind, other] = written
  if (kind === undefined) return { kind: 'all' }
  if (other !== undefined) {
    report.error([...path, other], `expected one of prefix, path and regex, found ${written.join(' and ')}`)
    return undefined
  }
  const text = input[kind] ?? ''
  if (kind === 'regex') {
    const regex = compileRegex(text)
    if ('problem' in regex) {
      report.error([...path, kind], `expected an RE2 expression: ${regex.problem}`)
      return undefined
    }
    // The first character is a literal, and neither optional nor one of several alternatives.
    if (!/^\^?[\w~-](?![?*{])[^|]*$/.test(text)) return { kind, ...regex }
    const hint = `write /${text.replace('^', '')}, or .* in front`
    report.error([...path, kind], `no request can match ${JSON.stringify(text)}: paths begin with /; ${hint}`)
    return undefined
  }
  // Requests are compared in canonical form: a path written otherwise would never match.
  const escaped = readPath(text)?.decoded !== undefined
  const canonical = escaped && paths?.escapedSlashes === 'keep' ? readPath(text)?.path : canonicalPath(text)
  if (canonical !== text) {
    const hint =
      canonical !== undefined
        ? `; write ${canonical}`
        : escaped
          ? `; write ${KEEP_ESCAPED_SLASHES}, too`
          : text.includes('?')
            ? ' (parameters of the query go into `query`)'
            : ''
    report.error([...path, kind], `no request can match ${JSON.stringify(text)}${hint}`)
    return undefined
  }
  if (text.includes('*')) {
    const below = text.slice(0, text.indexOf('*')).replace(/[^/]*$/, '')
    report.warning([...path, kind], `a star is an ordinary character here; write prefix: ${below}, or a regex`)
  }
  if (isReserved(text, naming)) {
    report.warning([...path, kind], `never reached: Postern answers ${text} itself on every host`)
  }
  if (kind === 'path') return { kind, path: text }
  if (text === '/') return { kind: 'all' }
  const boundary = compatibility !== 'pomerium'
  if (!boundary && !text.endsWith('/')) {
    report.warning([...path, kind], `with \`compatibility: pomerium\` this also matches ${text}anything`)
  }
  return { kind, prefix: text, boundary }
}

/** Its origin goes into a header of the portal, so that a host is one and nothing else. */
function compileLogo(text: string, path: Path, report: Report): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'data:' && /^data:image\/[a-z0-9.+-]+[;,]/.test(url.href)) return url.href
  const isPlain = url && url.username === '' && url.password === '' && /^[a-z0-9.:[\]_-]+$/.test(url.host)
  if (isPlain && (url.protocol === 'https:' || url.protocol === 'http:')) return url.href
  // It may hold a password.
  const found = url?.password ? '' : `, found ${JSON.stringify(text.slice(0, 80))}`
  report.error(path, `expected the URL of an image, https://…/logo.svg or data:image/…${found}`)
  return undefined
}

/** `GET app.corp.example/api`. */
function describeRoute(host: string, match: PathMatch, conditions: Conditions | undefined): string {
  const { methods = [], headers = [], query = [] } = conditions ?? {}
  const rest = [...headers, ...query].map(({ name, source }) => ` ${name}=${source}`).join('')
  return `${methods.length > 0 ? `${methods.join(',')} ` : ''}${host}${describeMatch(match)}${rest}`
}

function describeMatch(match: PathMatch): string {
  switch (match.kind) {
    case 'all':
      return ''
    case 'path':
      return match.path
    case 'prefix':
      return match.prefix
    case 'regex':
      return ` ${match.source}`
    default:
      return assertNever(match)
  }
}
