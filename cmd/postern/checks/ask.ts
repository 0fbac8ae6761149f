import type { Outbound } from '../../../src/config/model.ts'
import type { Span } from '../../../src/types.ts'

/** An answer that should be JSON. */
export type Answer =
  | {
      readonly status: number
      readonly body: Readonly<Record<string, unknown>>
      /** When the server says it is, in milliseconds; NaN: it does not. */
      readonly date: number
    }
  | { readonly problem: string }

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
    const bytes = await readBounded(answer.body, MAX_BYTES)
    if (!bytes) return { problem: `${new URL(url).host} answers more than 1 MiB` }
    const text = bytes.toString()
    const body: unknown = text.startsWith('{') ? JSON.parse(text) : {}
    const date = Date.parse(String(answer.headers['date']))
    return { status: answer.status, body: body as Readonly<Record<string, unknown>>, date }
  } catch (error) {
    return { problem: `no answer from ${new URL(url).host}: ${reasonOf(error)}` }
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'it took too long'
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (cause instanceof SyntaxError) return 'the answer is not JSON'
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'the connection failed'
}
