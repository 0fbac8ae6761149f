import { AppError } from '../../errors.ts'
import type { Span, SourceTime } from '../../types.ts'
import { readDate } from './budget.ts'
import { nextPage } from './link.ts'
import { isOktaError, type OktaError } from './shapes.ts'

/** Okta's evidence may be this much older than its `Date` (docs/directory.md). */
export const EVIDENCE_MARGIN: Span = 2000
/** A `Date` is cut to whole seconds. */
export const DATE_PRECISION: Span = 1000
/** The `limit` of a list: what Okta serves at once whatever is asked for (okta-api.md#lists-and-filters). */
export const LIST_PAGE = '200'
const LONGEST_SUMMARY = 500

/** An answer as it came, read whole. */
export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
}

/** An answer that may be believed: complete, JSON, from the origin that was asked. */
export interface OktaAnswer {
  readonly body: unknown
  /** The `Date` header, Okta's clock; undefined when it cannot be read, or is a day and more from our clock. */
  readonly date: SourceTime | undefined
  /** Path and query of the next page, to be asked for as it is. */
  readonly next: string | undefined
}

/**
 * Judges an answer (okta-api.md#api-tokens-and-errors). undefined: Okta says that there is no such thing, in its own words (E0000007);
 * a 404 of anybody else proves nothing. Throws ERR_DIRECTORY_… otherwise. `what` names the call in messages; `now`: our clock.
 */
export function judge(
  raw: RawAnswer,
  call: { readonly what: string; readonly origin: string; readonly now: SourceTime },
): OktaAnswer | undefined {
  const { status, headers } = raw
  if (status === 200) {
    return {
      body: parseJson(raw, call.what),
      date: readDate(headers['date'], call.now),
      next: nextPage(headers['link'], call.origin),
    }
  }
  const { errorCode, summary } = readError(raw)
  if (status === 404 && errorCode === 'E0000007') return undefined
  const said = `okta: ${call.what} answered ${status}${errorCode ? ` ${errorCode}` : ''}`
  const details = { status, ...(errorCode && { errorCode }), ...(summary && { summary }) }
  if (status === 401 && errorCode !== 'E0000015') {
    throw new AppError('ERR_DIRECTORY_UNAUTHORIZED', `${said}: the API token is not accepted`, { details })
  }
  if (status === 401 || status === 403) {
    throw new AppError('ERR_DIRECTORY_FORBIDDEN', `${said}: the API token's administrator role does not allow it`, {
      details,
    })
  }
  if (status === 429) throw new AppError('ERR_DIRECTORY_RATE_LIMITED', `${said}: rate limit`, { details })
  if (status >= 500) throw new AppError('ERR_DIRECTORY_UNREACHABLE', said, { details })
  throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `${said}, which was not expected`, { details })
}

function parseJson({ headers, body }: RawAnswer, what: string): unknown {
  const type = headers['content-type']
  if (typeof type !== 'string' || !/^application\/json\s*(?:;|$)/i.test(type)) {
    throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: ${what} answered with ${kindOf(type)} instead of JSON`)
  }
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: ${what} answered with JSON that cannot be read`, { cause })
  }
}

/** Only a media type is quoted: what else a header says is not ours to print. */
function kindOf(type: string | readonly string[] | undefined): string {
  return (typeof type === 'string' && /^[\w.+-]+\/[\w.+-]+/.exec(type)?.[0]) || 'no media type'
}

/** `summary`: Okta's own words, for the person at a command line; never part of a message that is logged. */
function readError({ body }: RawAnswer): { readonly errorCode?: string; readonly summary?: string } {
  try {
    const value: unknown = JSON.parse(body)
    if (!isOktaError(value)) return {}
    return {
      ...(/^[\w.]+$/.test(value.errorCode) && { errorCode: value.errorCode }),
      summary: wordsOf(value).join(': ').slice(0, LONGEST_SUMMARY),
    }
  } catch {
    // An error page of something in between is an answer without a code.
    return {}
  }
}

/** The summary, and those of the causes, which say what is wrong. */
function wordsOf({ errorSummary, errorCauses }: OktaError): readonly string[] {
  const causes: readonly unknown[] = Array.isArray(errorCauses) ? errorCauses : []
  const all = [errorSummary, ...causes.map((cause) => (cause as { errorSummary?: unknown } | null)?.errorSummary)]
  return all.filter((words) => typeof words === 'string')
}
