/**
 * The way to the provider's sign-out for a session that a script has ended. Its address holds the person's ID token
 * (`id_token_hint`), which is no business of an application's script: so it waits in the store, sealed, for the browser
 * whose cookie at the sign-in service is of that session.
 */
import { sha256 } from '../lib/crypto.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import { readable } from '../lib/readable.ts'
import { later } from '../lib/time.ts'
import type { Clock, SessionId, Span, Store, Table } from '../types.ts'

/** A script goes on at once; a person may have to look at a page before. */
const LIFETIME: Span = 600_000

const leavingTable: Table<string> = {
  name: 'leaving',
  parse: (value) => (typeof value === 'string' ? value : undefined),
}

export interface Leaving {
  keep(id: SessionId, atProvider: URL): Promise<void>
  /** Once. undefined: there is none, or it has expired. */
  take(id: SessionId): Promise<URL | undefined>
}

export function createLeaving(deps: {
  readonly store: Pick<Store, 'put' | 'take'>
  readonly keyRings: KeyRings
  readonly clock: Clock
}): Leaving {
  const { store, keyRings, clock } = deps
  const ring = keyRings('leaving')
  return {
    async keep(id, { href }) {
      await store.put(leavingTable, sha256(id), ring.seal(href, id), { expiresAt: later(clock.now(), LIFETIME) })
    },
    async take(id) {
      const sealed = await readable(store.take(leavingTable, sha256(id)))
      const href = sealed === undefined ? undefined : ring.open(sealed, id)
      return href === undefined ? undefined : new URL(href)
    },
  }
}
