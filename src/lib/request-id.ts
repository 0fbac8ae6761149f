import { randomId } from './crypto.ts'

/** What a trusted hop may call a request: nothing that a log, a header or a shell reads as more than a word. */
const FOREIGN_ID = /^[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}$/

export function isRequestId(text: string): boolean {
  return FOREIGN_ID.test(text)
}

/** Request ids: unique over processes and restarts, cheap enough for every request, no secret. */
export function createRequestIds(): () => string {
  const prefix = randomId(64)
  let count = 0
  return () => `${prefix}-${(count++).toString(36)}`
}
