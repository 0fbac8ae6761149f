import { z } from 'zod'

const ESCAPED_SLASHES = 'reject or keep; an escaped slash is never decoded'
/** Also in Pomerium's words. */
export const escapedSlashes = z
  .enum(['reject', 'keep', 'reject_request', 'keep_unchanged'], { error: ESCAPED_SLASHES })
  .transform((written) => (written === 'keep' || written === 'keep_unchanged' ? 'keep' : 'reject'))
