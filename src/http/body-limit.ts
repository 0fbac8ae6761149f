import { AppError } from '../errors.ts'
import type { Exchange } from './exchange.ts'

/** Limits a body before anybody reads it; throws ERR_BODY_TOO_LARGE when its declared length says enough. */
export function limitBody({ body, head }: Pick<Exchange, 'body' | 'head'>, most: number): void {
  if (!body) return
  if (Number(head.headers.first('content-length') ?? 0) > most) throw tooLarge(most)
  body.limitBytes(most)
}

export function tooLarge(most: number): AppError {
  const limit = `max_request_body (${most} bytes)`
  return new AppError('ERR_BODY_TOO_LARGE', `the request body is larger than ${limit}`, { details: { limit } })
}
