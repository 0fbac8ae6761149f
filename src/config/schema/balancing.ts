import { z } from 'zod'
import { integer, oneOf } from './fields.ts'

const POLICIES = ['ROUND_ROBIN', 'LEAST_REQUEST', 'RING_HASH', 'MAGLEV', 'RANDOM'] as const
const POLICY = `one of ${POLICIES.join(', ')}`

/** `LB_ROUND_ROBIN` and `round_robin` are the same. */
export const balancingPolicy = z
  .string({ error: POLICY })
  .regex(new RegExp(`^(?:(?:LB_)?(?:${POLICIES.join('|')})|${POLICIES.join('|').toLowerCase()})$`), { error: POLICY })

const RETRIES = 'a map such as {attempts: 2, on: [connect-failure, reset]}'

export const retries = z.strictObject(
  {
    attempts: integer(1, 10).default(1).describe('Attempts beyond the first.'),
    on: z
      .array(oneOf('connect-failure', 'reset', 'gateway-error'), {
        error: 'a list of connect-failure, reset, gateway-error',
      })
      .min(1, { error: 'at least one of connect-failure, reset, gateway-error' })
      .describe(
        '`connect-failure`: no connection, any method. `reset`: closed before an answer, and `gateway-error`: 502, 503 or 504; both for idempotent methods without a body.',
      ),
  },
  { error: RETRIES },
)
