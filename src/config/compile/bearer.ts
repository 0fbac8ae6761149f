/** Tokens of others that let people and programs in: which ones each route takes, and who issues them. */
import type { Policy } from '../../policy/model.ts'
import { assertNever } from '../../errors.ts'
import { isSameIssuer } from '../../lib/person.ts'
import { compileClaimPath } from '../../policy/claim-path.ts'
import { CERTIFICATE, OF_CERTIFICATES } from './downstream-mtls.ts'
import type { Path, Report } from '../issues.ts'
import type { IdpConfig, Outbound, TokenIssuer } from '../model.ts'
import type { Bearer } from '../route-model.ts'
import type { TokenIssuerInput } from '../schema/bearer.ts'
import type { RouteInput } from '../schema/route.ts'
import { type HttpRule, parseUrl } from './urls.ts'

/** Anybody in the world gets their tokens, for any audience. */
const PUBLIC_ISSUERS: ReadonlySet<string> = new Set([
  'https://token.actions.githubusercontent.com',
  'https://gitlab.com',
  'https://accounts.google.com',
])

type Idps = readonly Pick<IdpConfig, 'name' | 'issuer' | 'clientId' | 'clientAuth'>[]

export function compileTokenIssuers(
  inputs: Readonly<Record<string, TokenIssuerInput>>,
  idps: Idps,
  outbound: Outbound,
  report: Report,
): readonly TokenIssuer[] {
  return Object.entries(inputs).flatMap(([name, input]) => {
    const issuer = compileTokenIssuer(name, input, idps, outbound, report)
    return issuer ? [issuer] : []
  })
}

function compileTokenIssuer(
  name: string,
  input: TokenIssuerInput,
  idps: Idps,
  outbound: Outbound,
  report: Report,
): TokenIssuer | undefined {
  const path = ['token_issuers', name]
  const http: HttpRule = { allowed: input.allow_http, remedy: '`allow_http: true` on a private network' }
  const url = parseUrl(input.issuer, http, [...path, 'issuer'], report)
  const keys = input.jwks_url === undefined ? undefined : parseUrl(input.jwks_url, http, [...path, 'jwks_url'], report)
  if (idps.some(({ issuer }) => isSameIssuer(issuer, input.issuer))) {
    report.error(
      [...path, 'issuer'],
      'this is the identity provider: its tokens are those of people; write `bearer_token_format: idp_access_token` on the route',
    )
    return undefined
  }
  if (idps.some((idp) => idp.name === name)) {
    report.error(path, 'an identity provider is called so; programs are named by their issuer: write another name')
    return undefined
  }
  if (name === CERTIFICATE) {
    report.error(path, OF_CERTIFICATES)
    return undefined
  }
  const required = Object.entries(input.required_claims)
  if (PUBLIC_ISSUERS.has(input.issuer) && required.length === 0) {
    report.error(
      [...path, 'required_claims'],
      'missing; everybody in the world gets tokens of this issuer, for any audience: write the claims that only yours have, such as `{repository_owner: [corp]}`',
    )
    return undefined
  }
  if (!url || (input.jwks_url !== undefined && !keys)) return undefined
  return {
    name,
    issuer: input.issuer,
    ...(keys && { jwksUrl: keys.href }),
    audiences: input.audience ?? [],
    algorithms: input.algorithms,
    requiredClaims: required.map(([claim, values]) => ({ name: claim, claim: compileClaimPath(claim), values })),
    account: compileClaimPath(input.account_claim),
    outbound,
    ...(input.groups_claim !== undefined && { groups: input.groups_claim }),
  }
}

/** undefined: the route takes none, or it was complained of. */
export function compileBearer(
  input: RouteInput,
  policy: Policy | undefined,
  path: Path,
  known: { readonly issuers: readonly TokenIssuer[]; readonly idps: Idps },
  report: Report,
): Bearer | undefined {
  const { bearer_token_format: format = 'default' } = input
  const error = (key: keyof RouteInput, message: string): undefined => {
    report.error([...path, key], message)
  }
  if (format === 'default') {
    const keys = [
      'bearer_token_audience',
      'bearer_token_issuers',
      'bearer_token_clients',
      'pass_authorization',
    ] as const
    for (const key of keys) if (input[key]) error(key, 'this is for routes with a `bearer_token_format`')
    return undefined
  }
  if (policy?.kind === 'public' && policy.identity !== 'optional') {
    return error('bearer_token_format', 'nobody is asked who they are on a public route; remove it')
  }
  if (format !== 'jwt' && input.bearer_token_issuers) {
    return error('bearer_token_issuers', 'this is for `bearer_token_format: jwt`')
  }
  const rest = {
    audiences: input.bearer_token_audience ?? [],
    clients: input.bearer_token_clients ?? [],
    passAuthorization: input.pass_authorization,
  }
  switch (format) {
    case 'idp_identity_token':
      return { kind: 'id-token', ...rest }
    case 'idp_access_token': {
      const problem = problemOfAudience(rest.audiences, known.idps)
      return problem === undefined ? { kind: 'access-token', ...rest } : error('bearer_token_audience', problem)
    }
    case 'jwt': {
      const issuers = input.bearer_token_issuers ?? known.issuers.map(({ name }) => name)
      const problem = problemOfIssuers(issuers, rest.audiences, known.issuers)
      return problem ? error(...problem) : { kind: 'jwt', issuers, ...rest }
    }
    default:
      return assertNever(format)
  }
}

function problemOfAudience(audiences: readonly string[], idps: Idps): string | undefined {
  if (audiences.length === 0) {
    return 'missing; a token that was made for another API must not open this one (RFC 8725 §3.11): write the audience of yours, such as api://default'
  }
  if (idps.some(({ clientId }) => audiences.includes(clientId))) {
    return 'the client id is the audience of ID tokens; expected that of an API, or `bearer_token_format: idp_identity_token`'
  }
  const unread = idps.find(({ clientAuth, issuer }) => clientAuth.kind === 'elsewhere' && audiences.includes(issuer))
  return (
    unread && `only ${unread.issuer} itself can read these tokens, and with \`services: proxy\` nobody here may ask it`
  )
}

function problemOfIssuers(
  names: readonly string[],
  audiences: readonly string[],
  issuers: readonly TokenIssuer[],
): readonly [key: keyof RouteInput, message: string] | undefined {
  if (names.length === 0) {
    return ['bearer_token_format', '`jwt` needs `token_issuers`, which says whose tokens are accepted']
  }
  const chosen = new Map(names.map((name) => [name, issuers.find((issuer) => issuer.name === name)]))
  for (const [name, issuer] of chosen) {
    if (!issuer) return ['bearer_token_issuers', `there is no ${JSON.stringify(name)} in token_issuers`]
    if (issuer.audiences.length > 0 || audiences.length > 0) continue
    return [
      'bearer_token_audience',
      `missing; a token that was made for somebody else must not open this route (RFC 8725 §3.11): write it here, or as \`audience\` of token_issuers.${name}`,
    ]
  }
  return undefined
}
