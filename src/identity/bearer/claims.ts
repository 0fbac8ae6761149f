/**
 * What a token that somebody shows must say, for each kind. Pure: its signature was checked, or its issuer was asked. A
 * token of one kind is never taken for another (RFC 8725 §3.12), and none that was made for somebody else (§3.11).
 */
import type { IdpConfig, TokenIssuer } from '../../config/model.ts'
import type { Bearer } from '../../config/route-model.ts'
import { toAppError } from '../../errors.ts'
import { isSameIssuer } from '../../lib/person.ts'
import { later, wallTime } from '../../lib/time.ts'
import type { Identity, Json, JsonObject, Span, WallTime } from '../../types.ts'
import { groupsFromClaims, toIdentity } from '../claims.ts'
import { CLOCK_TOLERANCE_S, isFor, timeProblem } from '../token-times.ts'

/** What an issuer says of a token. */
export interface Evidence {
  /** Of its header, lower case. */
  readonly typ?: string
  readonly claims: JsonObject
  /** The issuer was asked (RFC 7662). */
  readonly introspected?: true
}

/** Who shows it. */
export interface Shown {
  readonly identity: Identity
  /** Of a program: the name of its issuer in the configuration, a slash, and what the issuer calls it. Absent: a person. */
  readonly account?: string
  /** Of a program, as its issuer says; absent: none. */
  readonly groups?: readonly string[]
  readonly scopes: readonly string[]
  /** As long as it is accepted: with the tolerance for clocks. Earlier, answers under way would be cut. */
  readonly expiresAt: WallTime
}

/** For the log: constant, and nothing of the token. */
export interface Refused {
  readonly refused: string
}

/** How long an answer of the issuer counts that does not say when the token ends. */
export const INTROSPECTION_AGE: Span = 60_000
/** Printable ASCII: account names stand in headers and rules. */
const ACCOUNT = /^[\x21-\x7e]{1,255}$/
const OF_ID_TOKENS = ['at_hash', 'c_hash', 's_hash'] as const
const OF_ACCESS_TOKENS = ['scp', 'scope', 'cid', 'client_id'] as const

type Client = Pick<IdpConfig, 'name' | 'provider' | 'issuer' | 'clientId' | 'allowUnverifiedEmail'>
type Wanted = Pick<Bearer, 'audiences' | 'clients'>

/** An access token of the provider: of a person, or of a program by client credentials. */
export function readAccessToken(
  { typ, claims, introspected }: Evidence,
  idp: Client,
  wanted: Wanted,
  now: WallTime,
): Shown | Refused {
  const { token_use: use, typ: kind, token_type: type, nonce } = claims
  const said = typ === 'at+jwt' || use === 'access' || isText(kind, 'bearer')
  if (!(typ === undefined || typ === 'jwt' || typ === 'at+jwt'))
    return { refused: 'typ is not that of an access token' }
  // Keycloak writes `typ`, Cognito `token_use`; an issuer that is asked says yes to refresh tokens and ID tokens, too.
  const another = (use !== undefined && use !== 'access') || (kind !== undefined && !isText(kind, 'bearer'))
  if (another || (introspected && !isText(type, 'bearer'))) return { refused: 'not an access token' }
  if (has(claims, OF_ID_TOKENS) || (nonce !== undefined && !said)) return { refused: 'an ID token' }
  const problem = commonProblem(claims, now, introspected ? 'optional' : 'required')
  if (problem !== undefined) return { refused: problem }
  if (!(introspected && claims['iss'] === undefined) && !isOf(claims, idp)) return { refused: 'iss is another' }
  const audience = wanted.audiences.find((each) => isFor(claims, each))
  if (audience === undefined) return { refused: 'aud is another' }
  const client = clientOf(claims)
  // A token for the issuer itself is for every app of the org: one of another app must not open ours.
  const clients = wanted.clients.length > 0 || !isSameIssuer(audience, idp.issuer) ? wanted.clients : [idp.clientId]
  if (clients.length > 0 && (client === undefined || !clients.includes(client))) {
    return { refused: 'issued to another client' }
  }
  const { sub, uid } = claims
  // A custom authorization server of Okta writes the login into `sub`, which people change (okta-api.md#tokens).
  const isOfOkta = idp.provider === 'okta'
  const isProgram = client !== undefined && !(isOfOkta && uid !== undefined) && isByClientCredentials(claims, client)
  const subject = isOfOkta && !isProgram ? uid : sub
  return shown({ ...claims, sub: subject ?? null }, idp, now, isProgram ? `${idp.name}/${client}` : undefined)
}

/** Has the client got it for itself? Whoever says so in a way that we do not know is a person to us. */
function isByClientCredentials(
  { sub, idtyp, oid, gty, preferred_username: username, client_id: id, clientId = id }: JsonObject,
  client: string,
): boolean {
  if (sub === client) return true // RFC 9068 §2.2
  if (idtyp === 'app' || (oid !== undefined && oid === sub)) return true // Entra: `sub` of a person is another in each app
  if (gty === 'client-credentials' || sub === `${client}@clients`) return true // Auth0
  // Keycloak: a user of its own for each client. A person may be called so, but has no such claim.
  return username === `service-account-${client}` && clientId === client
}

/** An ID token of the provider. */
export function readIdToken({ typ, claims }: Evidence, idp: Client, wanted: Wanted, now: WallTime): Shown | Refused {
  const { token_use: use, typ: kind, aud, azp } = claims
  if (!(typ === undefined || typ === 'jwt')) return { refused: 'typ is not that of an ID token' }
  const another = (use !== undefined && use !== 'id') || (kind !== undefined && !isText(kind, 'id'))
  if (another || has(claims, OF_ACCESS_TOKENS)) return { refused: 'not an ID token' }
  const problem = commonProblem(claims, now, 'required')
  if (problem !== undefined) return { refused: problem }
  if (claims['iat'] === undefined) return { refused: 'iat is missing' }
  if (!isOf(claims, idp)) return { refused: 'iss is another' }
  const audiences = wanted.audiences.length > 0 ? wanted.audiences : [idp.clientId]
  const audience = audiences.find((each) => isFor(claims, each))
  if (audience === undefined) return { refused: 'aud is another' }
  // OIDC Core §3.1.3.7: with several audiences it says to whom it was issued.
  if (azp === undefined ? Array.isArray(aud) && aud.length > 1 : azp !== audience) return { refused: 'azp is another' }
  return shown(claims, idp, now)
}

/** A token of a program, of an issuer that is not an identity provider here. */
export function readIssuedToken(
  { typ, claims }: Evidence,
  issuer: TokenIssuer,
  wanted: Wanted,
  now: WallTime,
): Shown | Refused {
  if (!(typ === undefined || typ === 'jwt' || typ === 'at+jwt')) return { refused: 'typ is another' }
  const problem = commonProblem(claims, now, 'required')
  if (problem !== undefined) return { refused: problem }
  if (claims['iss'] !== issuer.issuer) return { refused: 'iss is another' }
  const audiences = wanted.audiences.length > 0 ? wanted.audiences : issuer.audiences
  if (!audiences.some((each) => isFor(claims, each))) return { refused: 'aud is another' }
  const client = clientOf(claims)
  if (wanted.clients.length > 0 && (client === undefined || !wanted.clients.includes(client))) {
    return { refused: 'issued to another client' }
  }
  const lacking = issuer.requiredClaims.find(({ claim, values }) => !holdsOne(claim(claims), values))
  if (lacking) return { refused: `claim ${lacking.name} is another` }
  const groups = issuer.groups === undefined ? [] : groupsFromClaims(claims, issuer.groups)
  // No waiting would tell more, and to have none is another answer.
  if (!groups) return { refused: 'its groups cannot be read' }
  const account = issuer.account(claims)
  if (typeof account !== 'string' || !ACCOUNT.test(account)) return { refused: 'it names no account' }
  const read = shown(claims, { allowUnverifiedEmail: false }, now, `${issuer.name}/${account}`)
  return 'refused' in read ? read : { ...read, groups: groups.map(({ name: group }) => group) }
}

function commonProblem(claims: JsonObject, now: WallTime, exp: 'required' | 'optional'): string | undefined {
  // Whoever stole it could show it as well: it is worth something only with a proof that we do not ask for (RFC 9449 §7.1).
  if (claims['cnf'] !== undefined) return 'bound to a key'
  if (claims['events'] !== undefined) return 'a logout token or security event'
  return timeProblem(claims, now, { exp })
}

function shown(
  claims: JsonObject,
  settings: Pick<Client, 'allowUnverifiedEmail'> & Partial<Pick<Client, 'issuer'>>,
  now: WallTime,
  account?: string,
): Shown | Refused {
  const { exp, email, ...rest } = claims
  // An address is that of a person, and rules about people do not match programs.
  const about = account === undefined && email !== undefined ? { ...rest, email } : rest
  try {
    // An answer of the issuer need not say who it is.
    const said = toIdentity({ ...(settings.issuer !== undefined && { iss: settings.issuer }), ...about }, settings)
    return {
      // To no rule and no application a program shall look like the person of another issuer who has this id.
      identity: account === undefined ? said : { ...said, subject: account },
      ...(account !== undefined && { account }),
      scopes: scopesOf(claims),
      expiresAt: typeof exp === 'number' ? wallTime((exp + CLOCK_TOLERANCE_S) * 1000) : later(now, INTROSPECTION_AGE),
    }
  } catch (error) {
    return { refused: toAppError(error).message }
  }
}

/** Okta's list, or RFC 9068's text. */
function scopesOf({ scp, scope }: JsonObject): readonly string[] {
  const listed = scp ?? scope
  if (Array.isArray(listed)) return listed.filter((each) => typeof each === 'string')
  return typeof listed === 'string' ? listed.split(' ').filter(Boolean) : []
}

function clientOf({ client_id: client, cid, azp }: JsonObject): string | undefined {
  const said = client ?? cid ?? azp
  return typeof said === 'string' ? said : undefined
}

/** Okta's issuer has no slash at its end; that of others is cut by the configuration. */
function isOf({ iss }: JsonObject, { provider, issuer }: Client): boolean {
  if (typeof iss !== 'string') return false
  return provider === 'okta' ? iss === issuer : isSameIssuer(iss, issuer)
}

function holdsOne(value: Json | undefined, wanted: readonly (string | number | boolean)[]): boolean {
  const values = Array.isArray(value) ? value : [value]
  return values.some((each) => isScalar(each) && wanted.some((one) => String(one) === String(each)))
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function isText(value: Json | undefined, lower: string): boolean {
  return typeof value === 'string' && value.toLowerCase() === lower
}

function has(claims: JsonObject, names: readonly string[]): boolean {
  return names.some((name) => claims[name] !== undefined)
}
