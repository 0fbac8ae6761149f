/** What a route does with a request that its policy allows. */
import { assertNever } from '../../errors.ts'
import { parseHost } from '../../routing/host.ts'
import { canonicalPath } from '../../routing/path.ts'
import { leadsBack } from '../../routing/redirect.ts'
import type { Path, Report } from '../issues.ts'
import type { Action, PathRewrite, Redirect, Respond, Route } from '../route-model.ts'
import type { RedirectInput, ResponseInput } from '../schema/answer.ts'
import type { RouteInput } from '../schema/route.ts'
import { compileForward, type RouteDefaults, type RouteIdentity, type RouteParts } from './forward.ts'
import { checkPrefix, pathRewrite, type RewriteDefaults } from './rewrite.ts'

export function compileAction(
  input: RouteInput,
  parts: RouteParts,
  identity: RouteIdentity,
  path: Path,
  defaults: RouteDefaults,
  report: Report,
): Action | undefined {
  const { from, match, conditions } = parts
  const [kind, other] = ACTIONS.filter((key) => input[key] !== undefined)
  if (kind === undefined) {
    const empty = ACTIONS.find((key) => report.isWritten([...path, key])) ?? 'to'
    report.error([...path, empty], 'missing; expected `to`, the address of an upstream, or `redirect` or `response`')
  } else if (other !== undefined) {
    report.error([...path, other], `expected one of to, redirect and response, found ${kind} and ${other}`)
  }
  switch (kind) {
    case undefined:
    case 'to':
      return compileForward(input, parts, identity, path, defaults, report)
    case 'redirect':
      warnOfUnused(kind, path, report)
      return (
        input.redirect &&
        from &&
        match &&
        compileRedirect(input.redirect, { from, match, conditions }, [...path, kind], defaults, report)
      )
    case 'response':
      warnOfUnused(kind, path, report)
      return input.response && compileResponse(input.response, [...path, kind], report)
    default:
      return assertNever(kind)
  }
}

/** What somebody writes about an upstream that is not there was meant for something. */
function warnOfUnused(kind: 'redirect' | 'response', path: Path, report: Report): void {
  for (const key of UPSTREAM_KEYS) {
    if (report.isWritten([...path, key])) report.warning([...path, key], `not used, because the route has a ${kind}`)
  }
}

/** What a route may do. */
const ACTIONS = ['to', 'redirect', 'response'] as const

const UPSTREAM_KEYS = [
  'prefix_rewrite',
  'regex_rewrite_pattern',
  'host_rewrite',
  'host_rewrite_header',
  'host_path_regex_rewrite_pattern',
  'preserve_host_header',
  'set_request_headers',
  'pass_identity_headers',
] as const satisfies readonly (keyof RouteInput)[]

function compileRedirect(
  input: RedirectInput,
  { from, match, conditions }: Pick<Route, 'from' | 'match'> & Pick<RouteParts, 'conditions'>,
  path: Path,
  defaults: RewriteDefaults,
  report: Report,
): Redirect | undefined {
  let valid = true
  const refuse = (key: keyof RedirectInput, message: string): void => {
    valid = false
    report.error([...path, key], message)
  }
  const { host_redirect: host, path_redirect: whole, prefix_rewrite: prefix } = input
  if (input.https_redirect && input.scheme_redirect !== undefined) {
    refuse('https_redirect', 'scheme_redirect is written too; expected one of them')
  }
  const parsed = host === undefined ? undefined : parseHost(host)
  if (host !== undefined && (!parsed || parsed.port !== undefined)) {
    refuse('host_redirect', `expected a host, and its port in port_redirect, found ${JSON.stringify(host)}`)
  }
  if (whole !== undefined && prefix !== undefined) {
    refuse('prefix_rewrite', 'path_redirect is written too; expected one of them')
  }
  const [, to = '', query] = /^([^?]*)(\?.*)?$/s.exec(whole ?? '') ?? []
  if (whole !== undefined && (canonicalPath(to) !== to || !/^[\x21\x22\x24-\x7e]*$/.test(query ?? ''))) {
    refuse('path_redirect', `expected a plain path, perhaps with a query, found ${JSON.stringify(whole)}`)
  }
  if (prefix !== undefined && !checkPrefix(prefix, [...path, 'prefix_rewrite'], report)) valid = false
  if (!valid) return undefined

  const scheme = input.https_redirect ? 'https' : input.scheme_redirect
  const rewrite: PathRewrite | undefined =
    prefix !== undefined
      ? pathRewrite(match, prefix, defaults)
      : whole !== undefined
        ? { kind: 'whole', to }
        : undefined
  const action: Redirect = {
    kind: 'redirect',
    status: input.response_code,
    ...(scheme !== undefined && { scheme }),
    ...(parsed && { host: parsed.host }),
    ...(input.port_redirect !== undefined && { port: input.port_redirect }),
    ...(rewrite && { path: rewrite }),
    ...(query !== undefined ? { query } : input.strip_query && { query: '' }),
  }
  // A condition may be what the redirect takes away.
  if (!conditions && leadsBack({ from, match, action })) {
    report.warning(
      path,
      'leads back to this route: what it redirects comes again, and the same address is answered with 508',
    )
  }
  return action
}

function compileResponse({ status, body }: ResponseInput, path: Path, report: Report): Respond {
  if (body === '' || ![204, 205, 304].includes(status)) return { kind: 'respond', status, body }
  report.warning([...path, 'body'], `not sent, because an answer of status ${status} has no body`)
  return { kind: 'respond', status, body: '' }
}
