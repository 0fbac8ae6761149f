import { type ErrorInfo, ERRORS } from './lib/error-table.ts'

export { type ErrorInfo, ERRORS }

export type ErrorCode = keyof typeof ERRORS

/** A technical fault. The code is stable; the message is for operators and never holds a secret. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  /** More facts for the log, and for pages that know this code. */
  readonly details: Readonly<Record<string, string | number>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly details?: Readonly<Record<string, string | number>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  get info(): ErrorInfo {
    return ERRORS[this.code]
  }
}

/** Any thrown thing as an AppError; what is not one becomes ERR_INTERNAL with the original as cause. */
export function toAppError(error: unknown): AppError {
  return error instanceof AppError ? error : new AppError('ERR_INTERNAL', messageOf(error), { cause: error })
}

/** What a log line says of a fault (lib/log-fields.ts). */
export interface FaultFields {
  readonly error: ErrorCode
  readonly error_message: string
  readonly limit?: string
  readonly cause?: string
  readonly stack?: string | undefined
}

/** What is not an `AppError` is ERR_INTERNAL, and says where it came from. */
export function faultFields(thrown: unknown): FaultFields {
  const error = toAppError(thrown)
  const cause = error.cause instanceof Error ? error.cause : undefined
  return {
    error: error.code,
    error_message: error.message,
    ...(error.details['limit'] !== undefined && { limit: String(error.details['limit']) }),
    ...(cause && cause.message !== error.message && { cause: cause.message }),
    ...(error.code === 'ERR_INTERNAL' && { stack: (cause ?? error).stack }),
  }
}

/** What a line of level `error` says: what to do first, too. */
export function withRemedy<F extends { readonly error: ErrorCode; readonly remedy?: string | undefined }>(
  fields: F,
): F {
  return { ...fields, remedy: fields.remedy ?? ERRORS[fields.error].remedy }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Ends an exhaustive switch: a new member of the union is a compile error here. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value ${JSON.stringify(value)}`)
}
