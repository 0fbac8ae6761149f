/** After a change of the shared secret: what is kept longer than the old one is sealed with the new one. */
import { sealCertificatesAnew } from './certificates/certificates.ts'
import { accountsTable, certificatesTable, failuresTable } from './certificates/tables.ts'
import type { Fixed } from './config/model.ts'
import { createFeedTable } from './directory/okta/position.ts'
import { createDirectoryTable } from './directory/records.ts'
import { createScimTables } from './directory/scim/registry.ts'
import type { CredentialsInForce } from './credentials.ts'
import { createFaultLog } from './lib/fault-tally.ts'
import { endsTable } from './session/ends.ts'
import { sessionsTable } from './session/tables.ts'
import { rememberStoreKey } from './store/key-check.ts'
import { tokensTable, usesTable } from './tokens/tables.ts'
import type { Clock, Logger, Span, Store, Table, Unsubscribe } from './types.ts'

const RETRY: Span = 60_000

export interface Rotation {
  /** Another secret seals, or one was taken out. Every process does this: whoever comes second finds nothing to do. */
  follow(): void
  close(): void
}

export function createRotation(deps: {
  readonly fixed: Pick<Fixed, 'idps'>
  readonly store: Store
  readonly credentials: Pick<CredentialsInForce, 'keptRings' | 'sealedAnew'>
  readonly clock: Clock
  readonly logger: Logger
}): Rotation {
  const { fixed, store, credentials, clock, logger } = deps
  const { keptRings } = credentials
  const tell = createFaultLog(deps)
  const tables: readonly Table<unknown>[] = [
    sessionsTable,
    endsTable,
    tokensTable,
    usesTable,
    certificatesTable,
    accountsTable,
    failuresTable,
    createDirectoryTable(),
    createFeedTable(),
    ...fixed.idps.flatMap(({ issuer }) => Object.values(createScimTables(issuer))),
  ]
  let stop: Unsubscribe = () => {}
  let asked = false
  let closed = false
  let running = false

  /** One after the other, however often it is asked for: each reads all that is kept. Never rejects. */
  async function sealAnew(): Promise<void> {
    while (asked && !closed) {
      asked = false
      try {
        for (const table of tables) await store.sealAnew?.(table)
        await sealCertificatesAnew(store, keptRings)
        if (asked || closed) continue
        // Written last: a process that starts before does the work again.
        await rememberStoreKey(store, keptRings)
        if (asked || closed) continue
        credentials.sealedAnew()
        logger.info({}, 'shared_secret: all that is kept is sealed with the first')
      } catch (error) {
        if (asked || closed) continue
        tell(error, 'shared_secret: not all is sealed with the first: keep the old one in its place')
        stop = clock.after(RETRY, follow)
      }
    }
    running = false
  }

  function follow(): void {
    stop()
    asked = true
    if (running) return
    running = true
    // Not at once: what one reload asks for twice is done once.
    void Promise.resolve().then(sealAnew)
  }

  return {
    follow,
    close() {
      closed = true
      stop()
    },
  }
}
