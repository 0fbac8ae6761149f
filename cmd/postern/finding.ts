import { toAppError } from '../../src/errors.ts'

/** What came of one check. */
export type Finding = {
  /** What was looked at: `client 0oa1…`. */
  readonly check: string
  readonly message: string
} /** Something will not work: never said without what to do about it. */ & (
  | { readonly status: 'fail'; readonly remedy: string }
  /**
   * `warn`: Postern runs, but not as well as it could, or as somebody meant. `note`: nothing is wrong, but somebody may want to
   * know.
   */
  | { readonly status: 'ok' | 'note' | 'warn'; readonly remedy?: string }
)

/** What the table of errors says of one (docs/troubleshooting.md), as the end of a line. */
export function remedyOf(error: unknown): string {
  const { remedy } = toAppError(error).info
  return remedy.charAt(0).toLowerCase() + remedy.slice(1).replace(/\.$/, '')
}

/** `FAIL  client 0oa1…: the provider …; copy the secret …`. */
export function lineOf({ check, status, message, remedy }: Finding): string {
  return `${status.toUpperCase().padEnd(4)}  ${check}: ${message}${remedy === undefined ? '' : `; ${remedy}`}`
}
