import { createHash } from 'node:crypto'
import { later, wallTime } from '../lib/time.ts'
import type { Span, WallTime } from '../types.ts'

/** Of its lifetime, how much of a certificate is used before it is renewed. */
const RENEW_AT = 2 / 3
/** Certificates that came together are renewed apart. */
const SPREAD = 1 / 30

const MINUTE: Span = 60_000
const HOUR: Span = 60 * MINUTE
/** Let's Encrypt allows five failed validations of a name in an hour (https://letsencrypt.org/docs/rate-limits/). */
const FIRST_RETRY: Span = 15 * MINUTE
const LAST_RETRY: Span = 24 * HOUR
const FIRST_RETRY_OF_SERVER: Span = MINUTE
const LAST_RETRY_OF_SERVER: Span = 6 * HOUR

/** The same in every process: it depends on the certificate alone. */
export function renewalOf(certificate: {
  readonly chain: string
  readonly notBefore: WallTime
  readonly lifetime: Span
}): WallTime {
  const { chain, notBefore, lifetime } = certificate
  const place = (createHash('sha256').update(chain).digest()[0] ?? 0) / 256
  return later(notBefore, Math.floor(lifetime * (RENEW_AT + SPREAD * place)))
}

/** After `count` failures in a row, of one host or of all that the ACME server was asked. */
export function retryAfter(count: number, of: 'host' | 'server'): Span {
  const [first, last] = of === 'host' ? [FIRST_RETRY, LAST_RETRY] : [FIRST_RETRY_OF_SERVER, LAST_RETRY_OF_SERVER]
  return Math.min(last, first * 2 ** Math.min(count - 1, 30))
}

export const instantOf = (date: string): WallTime => wallTime(Date.parse(date))
