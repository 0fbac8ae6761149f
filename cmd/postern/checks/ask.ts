import type { Outbound } from '../../../src/config/model.ts'
import type { Span } from '../../../src/types.ts'
import type { Finding } from '../finding.ts'

/** An answer that should be JSON. */
export type Answer =
  | {
      readonly status: number
      readonly body: Readonly<Record<string, unknown>>
      /** When the server says it is, in milliseconds; NaN: it does not. */
      readonly date: number
    }
  /** `passes`: it is the server's own trouble. */
  | { readonly problem: string; readonly passes?: true }

/** A document of a provider is a few kilobytes. */
const MAX_BYTES = 1_048_576

/** GET without credentials; redirects are answers. Never rejects. */
export async function askJson(url: string, timeout: Span, outbound: Outbound): Promise<Answer> {
  try {
    // Here and not above: what it brings with it is for those who ask.
    const { createSend, readBounded } = await import('../../../src/lib/outbound.ts')
    const answer = await createSend(outbound, timeout)(url, {
      method: 'GET',
      headers: { accept: 'application/json', 'user-agent': 'postern-check' },
      signal: AbortSignal.timeout(timeout),
    })
    const { status } = answer
    const bytes = await readBounded(answer.body, MAX_BYTES)
    if (status === 429 || status >= 500) return { problem: `${url} answered ${status}`, passes: true }
    const date = Date.parse(String(answer.headers['date']))
    return { status, body: (bytes && objectIn(bytes.toString())) ?? {}, date }
  } catch (error) {
    return { problem: `no answer from ${new URL(url).host}: ${reasonOf(error)}` }
  }
}

/** Nothing came that could be judged. `keys`: what says where it was asked. */
export function unanswered(
  check: string,
  { problem, passes }: Extract<Answer, { problem: string }>,
  keys: string,
): Finding {
  const remedy = passes
    ? 'try again in a minute; if it stays so, ask whoever runs it'
    : `see ${keys}, and that this machine may connect there`
  return { check, status: 'fail', message: problem, remedy }
}

/** undefined: the text is something else. */
function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'it took too long'
  if (error instanceof Error && 'code' in error)
    return error.code === 'UND_ERR_SOCKET' ? error.message : String(error.code)
  return 'the connection failed'
}
