/** What came of one check. */
export interface Finding {
  /** What was looked at: `client 0oa1…`. */
  readonly check: string
  /**
   * `fail`: something will not work. `warn`: Postern runs, but not as well as it could, or as somebody meant.
   * `note`: nothing is wrong, but somebody may want to know.
   */
  readonly status: 'ok' | 'note' | 'warn' | 'fail'
  readonly message: string
  /** What to do about it. */
  readonly remedy?: string
}

/** `FAIL  client 0oa1…: the provider …; copy the secret …`. */
export function lineOf({ check, status, message, remedy }: Finding): string {
  return `${status.toUpperCase().padEnd(4)}  ${check}: ${message}${remedy === undefined ? '' : `; ${remedy}`}`
}
