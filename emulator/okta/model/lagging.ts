import type { Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'

/** How far Okta's indexes are behind: `filter` usually under a second, `search` up to minutes (okta-api.md#lists-and-filters). */
export interface IndexLag {
  readonly filter: Span
  readonly search: Span
}

export type IndexName = keyof IndexLag

/** Objects as an index sees them: an older version while the newest is not indexed. Deletions are seen at once. */
export interface Lagging<T> {
  /** An object is replaced; `before` is what it was, undefined when it is new. Nothing is kept while there is no lag. */
  changed(id: string, before: T | undefined): void
  /** undefined: not indexed yet. */
  seen(id: string, current: T, index: IndexName): T | undefined
}

export function createLagging<T>(clock: Clock, lag: () => IndexLag): Lagging<T> {
  const changes = new Map<string, { readonly at: Span; readonly before: T | undefined }[]>()
  return {
    changed(id, before) {
      const longest = Math.max(lag().filter, lag().search)
      if (longest === 0) return
      const now = clock.now()
      const recent = (changes.get(id) ?? []).filter(({ at }) => at > now - longest)
      recent.push({ at: now, before })
      changes.set(id, recent)
    },
    seen(id, current, index) {
      const since = clock.now() - lag()[index]
      const hidden = changes.get(id)?.find(({ at }) => at > since)
      return hidden === undefined ? current : hidden.before
    },
  }
}
