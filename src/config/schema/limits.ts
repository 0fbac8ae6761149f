import { z } from 'zod'
import { duration, integer } from './fields.ts'

const RATE = 'a number of requests a second above 0'
const rate = z.number({ error: RATE }).positive({ error: RATE }).max(1_000_000, { error: RATE })

/** How often somebody may ask (`rate_limit`), of all routes or of one. */
export const rateLimitSchema = z.strictObject(
  {
    per_client: rate
      .optional()
      .describe(
        'Requests a second of one client address (of IPv6: of its /64 network); beyond: 429. Counted by each process alone. Default: no limit.',
      ),
    per_person: rate
      .optional()
      .describe(
        'Requests a second of one person, or one program with a token, whatever their address; beyond: 429. Default: no limit.',
      ),
    burst: duration.prefault('5s').describe('What could have been sent in this time may be sent at once.'),
  },
  { error: 'a map with per_client, per_person, burst' },
)

export type RateLimitInput = z.output<typeof rateLimitSchema>

export const bodyLimit = integer(0, Number.MAX_SAFE_INTEGER)
