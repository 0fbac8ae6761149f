import { randomId } from '../lib/crypto.ts'
import type { Clock, Lease, Span, Store, Table, WallTime } from '../types.ts'
import { later } from '../lib/time.ts'

const leasesTable: Table<{ readonly holder: string }> = {
  name: 'leases',
  parse(value) {
    const holder = (value as { holder?: unknown } | null)?.holder
    return typeof holder === 'string' ? { holder } : undefined
  },
}

/** The `lease` of any store that can compare and swap: an expired record counts as none, so the next `ifVersion: 0` wins. */
export async function acquireLease(
  store: Pick<Store, 'get' | 'put'>,
  clock: Clock,
  name: string,
  ttl: Span,
): Promise<Lease | undefined> {
  const holder = randomId()
  /** Only while the record is still ours; an expiry in the past gives it up without a conditional delete. */
  async function keepUntil(expiresAt: WallTime): Promise<boolean> {
    const current = await store.get(leasesTable, name)
    if (current?.value.holder !== holder) return false
    return store.put(leasesTable, name, { holder }, { ifVersion: current.version, expiresAt })
  }
  const first = await store.put(leasesTable, name, { holder }, { ifVersion: 0, expiresAt: later(clock.now(), ttl) })
  if (!first) return undefined
  return {
    renew: () => keepUntil(later(clock.now(), ttl)),
    async release() {
      await keepUntil(clock.now())
    },
  }
}
