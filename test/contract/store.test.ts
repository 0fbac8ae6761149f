import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../src/lib/log.ts'
import { openLmdbStore } from '../../src/store/lmdb.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { storeContract } from './store.ts'

storeContract('the memory store', (clock) => {
  const store = createMemoryStore({ clock })
  return { store, peer: store, tidy() {} }
})

storeContract('the lmdb store', (clock) => {
  const path = mkdtempSync(join(tmpdir(), 'postern-store-'))
  const open = () => openLmdbStore({ path, clock, logger: silentLogger })
  return { store: open(), peer: open(), tidy: () => rmSync(path, { recursive: true }) }
})
