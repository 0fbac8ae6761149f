import { randomId } from './crypto.ts'

/** Request ids: unique over processes and restarts, cheap enough for every request, no secret. */
export function createRequestIds(): () => string {
  const prefix = randomId(64)
  let count = 0
  return () => `${prefix}-${(count++).toString(36)}`
}
