import type { Json, Span } from '../../types.ts'

/** One request, below the base path: `/Users/…`. */
export interface ScimRequest {
  readonly method: string
  /** Still percent-encoded, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** The `Authorization` header as sent. */
  readonly authorization: string | undefined
  /** `''` when there is none. At most `MAX_BODY` characters are looked at. */
  readonly body: string
}

export interface ScimResponse {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON, or `''`. */
  readonly body: string
}

/** Characters of a request body: the full push of a group of `MAX_MEMBERS`. Whoever reads the socket stops here, too. */
export const MAX_BODY = 8 * 1024 * 1024

/** Schema and message names (RFC 7643 §10.3, RFC 7644 §8.2). */
export const URN = {
  user: 'urn:ietf:params:scim:schemas:core:2.0:User',
  group: 'urn:ietf:params:scim:schemas:core:2.0:Group',
  list: 'urn:ietf:params:scim:api:messages:2.0:ListResponse',
  error: 'urn:ietf:params:scim:api:messages:2.0:Error',
} as const

/** What users and groups have in common. */
export interface Resource {
  readonly id: string
  readonly createdAt: Span
  readonly changedAt: Span
}

/** An id in a body says which resource the client means; it may be left out. */
export function isSameId(value: Json | undefined, resource: Resource): boolean {
  return value === undefined || value === null || value === resource.id
}

/** A request that is answered with an error (RFC 7644 §3.12). The detail never repeats a value of the body but names. */
export interface Refusal {
  readonly refused: number
  readonly scimType?:
    | 'invalidFilter'
    | 'invalidPath'
    | 'invalidSyntax'
    | 'invalidValue'
    | 'mutability'
    | 'noTarget'
    | 'tooMany'
    | 'uniqueness'
  readonly detail: string
}

export function isRefusal(value: object): value is Refusal {
  return 'refused' in value
}

export function badRequest(scimType: NonNullable<Refusal['scimType']>, detail: string): Refusal {
  return { refused: 400, scimType, detail }
}

export function reply(status: number, body: object, headers: Readonly<Record<string, string>> = {}): ScimResponse {
  return replyText(status, JSON.stringify(body), headers)
}

/** `body`: JSON. */
export function replyText(status: number, body: string, headers: Readonly<Record<string, string>> = {}): ScimResponse {
  return {
    status,
    headers: { 'content-type': 'application/scim+json', 'cache-control': 'no-store', ...headers },
    body,
  }
}

/** `status` as a string, as the RFC has it; Okta's own test takes string and number. */
export function refuse({ refused, ...rest }: Refusal, headers: Readonly<Record<string, string>> = {}): ScimResponse {
  return reply(refused, { schemas: [URN.error], status: String(refused), ...rest }, headers)
}

/** userName and displayName are `caseExact: false` (RFC 7643 §4.1.1, §4.2). */
export function caseless(text: string): string {
  return text.toLowerCase()
}
