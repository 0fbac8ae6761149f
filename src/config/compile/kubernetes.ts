/** `kubernetes_service_account_token`: people act through one service account, each as themselves. */
import { normalName } from '../../lib/header-names.ts'
import { Secret } from '../../lib/secret.ts'
import type { Policy } from '../../policy/model.ts'
import type { Path, Report } from '../issues.ts'
import type { Upstream } from '../route-model.ts'
import type { RouteInput } from '../schema/route.ts'

const KEY = 'kubernetes_service_account_token'

/** The token, when there is one that can be sent. @param claimHeaders names of the route's claim headers. */
export function compileKubernetes(
  input: RouteInput,
  path: Path,
  policy: Policy | undefined,
  claimHeaders: Iterable<string>,
  upstreams: readonly Upstream[],
  report: Report,
): Secret | undefined {
  const { [KEY]: written } = input
  if (written === undefined) return undefined
  const token = written.trim()
  // RFC 6750 §2.1.
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(token)) report.error([...path, KEY], 'expected a bearer token')
  if (policy?.kind === 'public') {
    report.error([...path, KEY], 'expected a route that asks who somebody is: nobody can act as somebody unknown')
  }
  // One line of each name: `a, b` would be one group.
  if (upstreams.some(({ origin }) => origin.startsWith('h2c:'))) {
    report.error([...path, KEY], 'expected an https:// upstream: over h2c:// groups cannot be told one by one')
  }
  const named: readonly (readonly [at: Path, name: string])[] = [
    ...Object.keys(input.set_request_headers).map((name) => [['set_request_headers', name], name] as const),
    ...input.allow_request_headers.map((name, i) => [['allow_request_headers', i], name] as const),
    ...Array.from(claimHeaders, (name) => [['jwt_claims_headers', name], name] as const),
  ]
  for (const [at, name] of named) {
    const normal = normalName(name)
    if (normal !== 'authorization' && !normal.startsWith('impersonate-')) continue
    report.error([...path, ...at], `${KEY} says in this header who somebody is`)
  }
  return new Secret(token)
}
