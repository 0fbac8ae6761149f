/** What a request waits for beside the application, and what is done without a request: spans within one another. */
import type { AsyncLocalStorage } from 'node:async_hooks'
import { toAppError } from '../../errors.ts'
import type { Clock, Monotonic, Waiting, WaitingFor } from '../../types.ts'
import { type KeyValue, numberAttribute, SPAN_KIND, textAttribute } from './otlp.ts'

/** Of one trace; a directory of a million people must not fill the queue with one. */
const MOST = 200

/** One that has ended. */
export interface Waited {
  readonly name: string
  readonly kind: number
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly startedAt: Monotonic
  readonly endedAt: Monotonic
  readonly attributes: readonly KeyValue[]
  readonly failed: boolean
}

/** The trace of what is under way. */
export interface Gathering {
  /** undefined: it is over, and nobody waits any more. */
  waits: Waited[] | undefined
}

/** What is around a call: whose trace, and the span that becomes its parent. `silent`: a request that is not recorded. */
export type Around = { readonly gathering: Gathering; readonly spanId: string } | 'silent'

export interface WaitsDeps<Alone extends Gathering> {
  readonly context: AsyncLocalStorage<Around>
  readonly clock: Clock
  /** Characters of an attribute. */
  readonly longest: number
  readonly nextSpanId: () => string
  /** A trace for work without a request; undefined: this one is not recorded. */
  readonly begin: () => Alone | undefined
  /** It has ended. */
  readonly end: (alone: Alone) => void
}

export function createWaits<Alone extends Gathering>({
  context,
  clock,
  longest,
  nextSpanId,
  begin,
  end,
}: WaitsDeps<Alone>): WaitingFor {
  async function within<R>(
    gathering: Gathering,
    parentSpanId: string | undefined,
    what: Waiting<R>,
    work: () => Promise<R>,
  ): Promise<R> {
    const spanId = nextSpanId()
    const startedAt = clock.monotonic()
    const ended = (more: Readonly<Record<string, string | number>>, failed: boolean): void => {
      if (!gathering.waits || gathering.waits.length >= MOST) return
      gathering.waits.push({
        name: what.name,
        kind: SPAN_KIND[what.kind],
        spanId,
        parentSpanId,
        startedAt,
        endedAt: clock.monotonic(),
        attributes: attributesOf({ ...what.attributes, ...more }, longest),
        failed,
      })
    }
    try {
      const result = await context.run({ gathering, spanId }, work)
      const said = what.said?.(result) ?? {}
      ended(said, 'error.type' in said)
      return result
    } catch (error) {
      ended({ 'error.type': toAppError(error).code }, true)
      throw error
    }
  }

  return async (what, work) => {
    const around = context.getStore()
    if (around === 'silent') return work()
    if (around?.gathering.waits) return within(around.gathering, around.spanId, what, work)
    const gathering = what.alone && begin()
    if (!gathering) return work()
    try {
      return await within(gathering, undefined, what, work)
    } finally {
      end(gathering)
    }
  }
}

function attributesOf(values: Readonly<Record<string, string | number>>, longest: number): readonly KeyValue[] {
  return Object.entries(values).map(([key, value]) =>
    typeof value === 'number' ? numberAttribute(key, value) : textAttribute(key, value.slice(0, longest)),
  )
}
