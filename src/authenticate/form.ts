import type { Exchange } from '../http/exchange.ts'
import { readBody } from '../lib/read-body.ts'

const MAX_FORM_BYTES = 4096

/** A urlencoded body of at most `most` bytes; undefined when it is anything else, or when its sender went away. */
export async function readForm(
  { head, body }: Pick<Exchange, 'head' | 'body'>,
  most = MAX_FORM_BYTES,
): Promise<URLSearchParams | undefined> {
  const type = head.headers.first('content-type')?.toLowerCase()
  if (!type?.startsWith('application/x-www-form-urlencoded')) return undefined
  const form = await readBody(body, most)
  return form && new URLSearchParams(form.toString('utf8'))
}
