import type { Clock, Span, Unsubscribe } from '../types.ts'

type Some<T> = readonly [T, ...T[]]

/** Keys, of which the first acts (seals, signs) and all count (open, verify). */
export interface Handover<T> {
  readonly current: () => Some<T>
  /**
   * What acts goes on acting for `delay` while it is among the next: meanwhile every process gets to know its successor,
   * and nobody meets what they cannot open. What is not among them has ended.
   */
  readonly replace: (next: Some<T>) => void
  /** This one of them acted in an earlier process: it goes on for `delay`. */
  readonly resume: (acting: T) => void
  close(): void
}

/** `changed`: another one acts, `before` it the one that did. */
export function createHandover<T>(deps: {
  readonly first: Some<T>
  readonly isSame: (left: T, right: T) => boolean
  readonly delay: Span
  readonly clock: Pick<Clock, 'after'>
  readonly changed: (before: T) => void
}): Handover<T> {
  const { isSame, delay, clock, changed } = deps
  let current = deps.first
  let wanted = deps.first
  let stop: Unsubscribe | undefined

  function settle(): void {
    stop?.()
    stop = undefined
    const [before] = current
    current = wanted
    if (!isSame(before, current[0])) changed(before)
  }

  function replace(next: Some<T>): void {
    const [acting] = current
    const isAwaited = stop !== undefined && isSame(wanted[0], next[0])
    wanted = next
    if (isSame(acting, next[0]) || !next.some((each) => isSame(each, acting))) return settle()
    current = [acting, ...next.filter((each) => !isSame(each, acting))]
    if (isAwaited) return
    stop?.()
    stop = clock.after(delay, settle)
  }

  return {
    current: () => current,
    replace,
    resume(acting) {
      current = [acting]
      replace(wanted)
    },
    close: () => stop?.(),
  }
}
