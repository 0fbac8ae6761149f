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

/** GET without credentials. Never rejects. */
export async function askJson(url: string, timeout: Span, send: typeof fetch): Promise<Answer> {
  try {
    const response = await send(url, {
      headers: { accept: 'application/json', 'user-agent': 'postern-check' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    })
    const text = await response.text()
    const body: unknown = text.startsWith('{') ? JSON.parse(text) : {}
    const date = Date.parse(response.headers.get('date') ?? '')
    return { status: response.status, body: body as Readonly<Record<string, unknown>>, date }
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
