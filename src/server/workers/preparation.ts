import { AppError } from '../../errors.ts'

/** A configuration that has been built and is not in force. One of the two is called, once. */
interface Prepared {
  commit(): void
  abandon(): void
}

export interface Preparation<I> {
  /** Rejects when it cannot be had, or is not wanted any more when it has been read. */
  prepare(input: I): Promise<void>
  /** Puts what was prepared into force. */
  commit(): void
  /** Gives up what was prepared, and what still is. */
  abandon(): void
}

/**
 * The configuration that a worker has ready for its primary. Only the last one that was asked for is ever built: one that
 * takes so long that the primary has given it up would hold its connections for ever, or be put into force in place of
 * the next.
 */
export function createPreparation<I, C>({
  read,
  build,
}: {
  readonly read: (input: I) => Promise<C>
  /** At once. */
  readonly build: (config: C) => Prepared | undefined
}): Preparation<I> {
  let asked = 0
  let prepared: Prepared | undefined

  function abandon(): void {
    asked++
    prepared?.abandon()
    prepared = undefined
  }

  return {
    async prepare(input) {
      abandon()
      const own = asked
      const config = await read(input)
      if (own !== asked) throw new AppError('ERR_INTERNAL', 'the configuration is not wanted any more')
      prepared = build(config)
    },
    commit() {
      prepared?.commit()
      prepared = undefined
    },
    abandon,
  }
}
