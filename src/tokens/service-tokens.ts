import type { Audit } from '../lib/audit.ts'
import { sha256 } from '../lib/crypto.ts'
import type { Freshness } from '../lib/freshness.ts'
import { createFollowed } from '../lib/followed.ts'
import { isServiceToken, newServiceToken } from '../lib/service-token.ts'
import { elapsed, later } from '../lib/time.ts'
import type { Clock, Span, Store, WallTime } from '../types.ts'
import type { ListedServiceToken, ServiceToken, ServiceTokens } from './model.ts'
import { type StoredToken, tokensTable, usesTable } from './tables.ts'

const MAX_CACHED = 4096
/** How exactly it is known when a token was used last. */
const USE_INTERVAL: Span = 900_000

/**
 * Service tokens: hash ⇄ store. A token that is shown again and again is answered from memory, a bad one as well; a
 * change anywhere reaches the memory by the store's feed.
 */
export function createServiceTokens(deps: {
  readonly store: Store
  readonly clock: Clock
  readonly audit: Audit
  readonly freshness: Freshness
}): ServiceTokens {
  const { store, clock, audit, freshness } = deps
  /** By id; of tokens that exist only. */
  const usedAt = new Map<string, WallTime>()
  const endListeners = new Set<(id: string) => void>()

  /** By the hash of the token. */
  const followed = createFollowed({
    store,
    table: tokensTable,
    toValue: recordOf,
    capacity: MAX_CACHED,
    holdsAbsent: true,
    freshness,
    clock,
    onDelete(hash) {
      usedAt.delete(idOf(hash))
      for (const listener of endListeners) listener(idOf(hash))
    },
  })

  return {
    find(token, now) {
      if (!isServiceToken(token)) return undefined
      const hash = sha256(token)
      const known = followed.peek(hash)
      return known ? live(known.value, now) : followed.load(hash).then((record) => live(record, now))
    },

    used({ id, expiresAt }) {
      const now = clock.now()
      const before = usedAt.get(id)
      if (before !== undefined && elapsed(now, before) < USE_INTERVAL) return
      usedAt.set(id, now)
      // For people to read: a store that fails is told of elsewhere, and the request goes on.
      store.put(usesTable, id, { at: now }, { expiresAt }).catch(() => usedAt.delete(id))
    },

    async create({ account, routes, methods, groups, lifetime }) {
      const token = newServiceToken()
      const hash = sha256(token)
      const createdAt = clock.now()
      const expiresAt = later(createdAt, lifetime)
      const stored: StoredToken = { account, createdAt, expiresAt, routes, methods, groups }
      await store.put(tokensTable, hash, stored, { ifVersion: 0, expiresAt })
      const record = recordOf(hash, stored)
      audit({ event: 'token-create', token: record })
      return { token, record }
    },

    async list() {
      const found: ListedServiceToken[] = []
      for await (const [hash, { value }] of store.list(tokensTable)) {
        const record = recordOf(hash, value)
        found.push({ ...record, lastUsedAt: (await store.get(usesTable, record.id))?.value.at })
      }
      return found.toSorted((a, b) => elapsed(b.createdAt, a.createdAt))
    },

    async revoke(id) {
      for await (const [hash, { value }] of store.list(tokensTable)) {
        if (idOf(hash) !== id) continue
        await store.delete(tokensTable, hash)
        await store.delete(usesTable, id)
        const record = recordOf(hash, value)
        audit({ event: 'token-revoke', token: record })
        return record
      }
      return undefined
    },

    idOf: (token) => idOf(sha256(token)),

    onEnd(listener) {
      // Its own function each time, so that one listener may be added twice and removed once.
      const own = (id: string): void => listener(id)
      endListeners.add(own)
      return () => endListeners.delete(own)
    },

    close() {
      followed.close()
      endListeners.clear()
    },
  }
}

function recordOf(hash: string, stored: StoredToken): ServiceToken {
  const { account, createdAt, expiresAt, routes, methods, groups } = stored
  return { id: idOf(hash), account, createdAt, expiresAt, routes, methods, groups }
}

function live(token: ServiceToken | undefined, now: WallTime): ServiceToken | undefined {
  return token && token.expiresAt > now ? token : undefined
}

/** Hex, so that a command line does not take it for an option. What it is made of cannot be found from it. */
function idOf(hash: string): string {
  return Buffer.from(sha256(`id:${hash}`), 'base64url')
    .toString('hex')
    .slice(0, 12)
}
