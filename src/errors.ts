/** The error table: code → status shown to the client, exit code of the command line, Retry-After in seconds. */
export interface ErrorInfo {
  /** HTTP status when the error ends a request. */
  readonly status: number
  /** Process exit code when it ends a command; 1 unless said. */
  readonly exit?: number
  readonly retryAfter?: number
  /** The sentence a person may see. Everything else about the error goes to the log only. */
  readonly sentence: string
}

export const ERRORS = {
  ERR_USAGE: { status: 500, exit: 2, sentence: 'The command was used wrongly.' },
  ERR_CONFIG_INVALID: { status: 500, exit: 3, sentence: 'The configuration is not valid.' },
  ERR_DEPENDENCY: { status: 503, exit: 4, sentence: 'Something Postern depends on did not answer.' },
  ERR_LISTEN: { status: 503, sentence: 'Postern cannot listen on its address.' },
  ERR_BAD_REQUEST: { status: 400, sentence: 'The request could not be understood.' },
  ERR_BODY_TOO_LARGE: { status: 413, sentence: 'What was sent is larger than this application takes.' },
  ERR_SIGN_IN_STATE: {
    status: 400,
    sentence: 'This sign-in was already used, took too long, or was started in another browser.',
  },
  ERR_SIGN_IN_LIMIT: {
    status: 429,
    retryAfter: 60,
    sentence: 'Too many sign-ins from your network were refused. Try again in a minute.',
  },
  ERR_RETURN_URL: { status: 400, sentence: 'The address to return to does not belong to an application here.' },
  ERR_IDP_REJECTED: { status: 403, sentence: 'The identity provider did not complete the sign-in.' },
  ERR_IDP_UNREACHABLE: {
    status: 503,
    retryAfter: 10,
    sentence: 'The identity provider cannot be reached at the moment.',
  },
  ERR_IDP_UNUSABLE: {
    status: 500,
    sentence: 'The identity provider is not set up for this sign-in. Waiting does not help: tell your administrator.',
  },
  ERR_DIRECTORY_UNREACHABLE: {
    status: 503,
    retryAfter: 10,
    sentence: 'The group directory cannot be reached at the moment.',
  },
  ERR_DIRECTORY_UNAUTHORIZED: { status: 503, retryAfter: 60, sentence: 'The group directory refused our credentials.' },
  ERR_DIRECTORY_FORBIDDEN: {
    status: 503,
    retryAfter: 60,
    sentence: 'The group directory does not let us read what we need.',
  },
  ERR_DIRECTORY_RATE_LIMITED: { status: 503, retryAfter: 30, sentence: 'The group directory asks us to wait.' },
  ERR_DIRECTORY_BAD_ANSWER: {
    status: 503,
    retryAfter: 10,
    sentence: 'The group directory gave an answer that cannot be used.',
  },
  ERR_STORE_UNAVAILABLE: { status: 503, retryAfter: 5, sentence: 'The session store is not available at the moment.' },
  ERR_STORE_CORRUPT: { status: 503, retryAfter: 30, sentence: 'The session store holds a record that cannot be read.' },
  ERR_UPSTREAM_RESOLVE: { status: 502, sentence: "The application's address cannot be resolved." },
  ERR_UPSTREAM_CONNECT: { status: 502, sentence: 'The application does not accept connections.' },
  ERR_UPSTREAM_TLS: { status: 502, sentence: 'No trusted TLS connection to the application.' },
  ERR_UPSTREAM_RESET: { status: 502, sentence: 'The application closed the connection before it answered.' },
  ERR_UPSTREAM_PROTOCOL: { status: 502, sentence: 'The application gave an answer that is not valid HTTP.' },
  ERR_UPSTREAM_BUSY: { status: 503, retryAfter: 1, sentence: 'The application has too many requests waiting.' },
  ERR_UPSTREAM_UNHEALTHY: { status: 503, retryAfter: 5, sentence: 'The application is not healthy at the moment.' },
  ERR_UPSTREAM_TIMEOUT: { status: 504, sentence: 'The application did not answer in time.' },
  ERR_ACME: { status: 503, sentence: 'A certificate could not be had.' },
  ERR_LOOP: { status: 508, sentence: "The application's address leads back to Postern." },
  ERR_CLIENT_TIMEOUT: { status: 408, sentence: 'The rest of the request did not arrive in time.' },
  ERR_CLIENT_CLOSED: { status: 499, sentence: 'The client went away.' },
  ERR_INTERNAL: { status: 500, sentence: 'Something went wrong inside Postern.' },
} as const satisfies Record<string, ErrorInfo>

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

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Ends an exhaustive switch: a new member of the union is a compile error here. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value ${JSON.stringify(value)}`)
}
