import { randomBytes } from 'node:crypto'
import { json, type Reply } from './call.ts'

/** okta-api.md#api-tokens-and-errors: code → status and summary. Only the code is contractual. */
const ERRORS = {
  E0000001: [400, 'Api validation failed: {0}'],
  E0000003: [400, 'The request body was not well-formed.'],
  E0000004: [401, 'Authentication failed'],
  E0000006: [403, 'You do not have permission to perform the requested action'],
  E0000007: [404, 'Not found: Resource not found: {0}'],
  E0000008: [404, 'The requested path was not found'],
  E0000009: [500, 'Internal Server Error'],
  E0000011: [401, 'Invalid token provided'],
  E0000016: [403, 'Activation failed because the user is already active'],
  E0000022: [405, 'The endpoint does not support the provided HTTP method'],
  E0000031: [400, 'Invalid search criteria.'],
  E0000038: [403, "This operation is not allowed in the user's current status."],
  E0000047: [429, 'API call exceeded rate limit due to too many requests.'],
  E0000053: [400, 'Invalid SCIM filter.'],
  E0000060: [501, 'Unsupported operation.'],
} as const satisfies Record<string, readonly [number, string]>

export type OktaErrorCode = keyof typeof ERRORS

/** Thrown by handlers; the server writes it as Okta's error body. */
export class OktaError extends Error {
  override readonly name = 'OktaError'
  readonly code: OktaErrorCode
  readonly subject: string
  readonly causes: readonly string[]

  constructor(code: OktaErrorCode, subject = '', causes: readonly string[] = []) {
    super(`${code} ${subject}`)
    this.code = code
    this.subject = subject
    this.causes = causes
  }
}

export function notFound(
  id: string,
  kind: 'User' | 'UserGroup' | 'AppInstance' | 'AuthorizationServer' | 'EventHook',
): OktaError {
  return new OktaError('E0000007', `${id} (${kind})`)
}

export function errorReply(error: OktaError): Reply {
  const [status, summary] = ERRORS[error.code]
  return json(status, {
    errorCode: error.code,
    errorSummary: summary.replace('{0}', error.subject),
    errorLink: error.code,
    errorId: `oae${randomBytes(16).toString('base64url').slice(0, 19)}`,
    errorCauses: error.causes.map((errorSummary) => ({ errorSummary })),
  })
}
